/** A row as it would reach ClickHouse, read back; what ClickHouse would refuse or misread is a problem. */
import { isUtf8 } from 'node:buffer'
import { JsonFloat, type LosslessValue, parseLosslessText } from '../../../std/lossless-json.ts'
import { readNative } from '../../processor/columns/read-native.ts'
import type { RowFormat } from '../../processor/processor.ts'
import type { MadeRow } from '../../processor/run-message.ts'
import type { TableColumn } from '../../storage/storage.ts'
import { parseColumnType } from './column-type.ts'
import { readRowBinary } from './row-binary.ts'

export type ReadRow = { values: Readonly<Record<string, LosslessValue>>; problem?: string }

export function readRow(
  { bytes }: Pick<MadeRow, 'bytes'>,
  format: RowFormat,
  columns: readonly TableColumn[],
): ReadRow {
  try {
    return { values: valuesOf(bytes, format, columns) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return {
      values: {},
      problem: `a row that cannot be read: ${why} ${bytes.toString('latin1').slice(0, 200)}`,
    }
  }
}

function valuesOf(
  bytes: Buffer,
  format: RowFormat,
  columns: readonly TableColumn[],
): Readonly<Record<string, LosslessValue>> {
  if (format === 'JSONEachRow') return readJsonRow(bytes)
  if (format === 'RowBinary') return readRowBinary(bytes, written(columns))
  const [row, ...others] = readNative(bytes)
  if (row === undefined || others.length > 0) throw new RangeError('It is not one row.')
  return row
}

/** Columns that an insert names: all that ClickHouse does not compute. */
function written(columns: readonly TableColumn[]) {
  return columns
    .filter(({ materialized, alias }) => materialized === undefined && alias === undefined)
    .map(({ name, type }) => ({ name, type: parseColumnType(type) }))
}

function readJsonRow(bytes: Buffer): Record<string, LosslessValue> {
  if (!isUtf8(bytes)) throw new SyntaxError('It is not valid UTF-8.')
  const text = bytes.toString()
  if (text.indexOf('\n') !== text.length - 1) throw new SyntaxError('It does not end in its only newline.')
  const value = parseLosslessText(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof JsonFloat)
    throw new SyntaxError('It is no object.')
  const twice = keyTwice(text)
  if (twice !== undefined) throw new SyntaxError(`It has the field ${twice} twice.`)
  return value
}

const marks = /"(?:[^"\\]|\\.)*"|[{}[\]]/g

/** A key of the outermost object that stands there twice, which ClickHouse refuses. */
function keyTwice(text: string): string | undefined {
  const keys = new Set<string>()
  let depth = 0
  for (const { 0: mark, index } of text.matchAll(marks)) {
    if (mark === '{' || mark === '[') depth++
    else if (mark === '}' || mark === ']') depth--
    else if (depth === 1 && /^\s*:/.test(text.slice(index + mark.length, index + mark.length + 20))) {
      if (keys.has(mark)) return mark
      keys.add(mark)
    }
  }
  return undefined
}
