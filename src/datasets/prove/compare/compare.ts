/**
 * Whether two processors made the same of a message: the same kind of ending, and rows that agree value by
 * value, an integer being no float. In a column of floats `1` and `1.0` are the same number. A field that is left
 * out is the same as null only where the column would become null: it is nullable and has no default.
 */
import { JsonFloat, type LosslessValue, stringifyLossless } from '../../../std/lossless-json.ts'
import type { RowFormat } from '../../processor/processor.ts'
import type { MadeRow, MessageEnd } from '../../processor/run-message.ts'
import type { TableColumn } from '../../storage/storage.ts'
import { bareType, type ColumnType, elementType, isNullable, parseColumnType } from './column-type.ts'
import { readRow } from './read-row.ts'
import { finiteValue, typedValue } from './typed-value.ts'

/** `path` is `ending`, `rows` or a place in a row: `row[0].tags.key[2]`. The sides are said in words or as JSON. */
export type Difference = { path: string; left: string; right: string }

export type ComparedTable = { columns: readonly TableColumn[] }

export type CompareOptions = {
  tables: readonly ComparedTable[]
  /** Columns that are not looked at. */
  ignore: ReadonlySet<string>
}

export type ComparedEnd = { end: MessageEnd; format: RowFormat }

/** The first difference, if there is one. */
export function compareEnds(
  left: ComparedEnd,
  right: ComparedEnd,
  options: CompareOptions,
): Difference | undefined {
  const kinds = [kindOf(left.end), kindOf(right.end)]
  if (kinds[0] !== kinds[1])
    return { path: 'ending', left: describeEnd(left.end), right: describeEnd(right.end) }
  if (left.end.kind === 'replacement' && right.end.kind === 'replacement' && left.end.key !== right.end.key)
    return { path: 'replacement.key', left: quote(left.end.key), right: quote(right.end.key) }
  const [count, other] = [left.end.rows.length, right.end.rows.length]
  if (count !== other) return { path: 'rows', left: `${count} rows`, right: `${other} rows` }
  for (const [at, row] of left.end.rows.entries()) {
    const found = compareRows(
      { ...left, row },
      { ...right, row: right.end.rows[at] ?? row },
      { at, ...options },
    )
    if (found !== undefined) return found
  }
  return undefined
}

/** Any error makes a message invalid; only what is set aside silently is told apart. */
export function kindOf(end: MessageEnd): 'rows' | 'skip' | 'replacement' | 'invalid' | 'ignored' {
  return end.kind === 'invalid' && end.reason === 'ignored_message' ? 'ignored' : end.kind
}

function describeEnd(end: MessageEnd): string {
  if (end.kind === 'rows') return `${end.rows.length} rows: ${end.rows.map(rowText).join(' ').slice(0, 500)}`
  if (end.kind === 'skip') return `skipped: ${end.reason}`
  if (end.kind === 'replacement') return `a replacement with the key ${end.key}`
  return `${end.reason}${end.path === '' ? '' : ` at ${end.path}`}: ${end.message}`
}

function rowText({ bytes }: MadeRow): string {
  const text = bytes.toString()
  return text.startsWith('{') ? text.trimEnd() : bytes.toString('hex')
}

type ComparedRow = { row: MadeRow; format: RowFormat }
type Place = CompareOptions & { at: number }

function compareRows(left: ComparedRow, right: ComparedRow, place: Place): Difference | undefined {
  const path = `row[${place.at}]`
  if (left.row.table !== right.row.table)
    return { path, left: `of table ${left.row.table}`, right: `of table ${right.row.table}` }
  const columns = place.tables[left.row.table]?.columns ?? []
  const sides = [left, right].map((side) => readRow(side.row, side.format, columns))
  const [one, two] = sides
  if (one === undefined || two === undefined) return undefined
  if (one.problem !== undefined || two.problem !== undefined)
    return { path, left: one.problem ?? 'a row', right: two.problem ?? 'a row' }
  const isMixed = left.format !== right.format
  const names = new Set([...Object.keys(one.values), ...Object.keys(two.values)])
  for (const name of names) {
    if (place.ignore.has(name)) continue
    const column = columns.find((candidate) => candidate.name === name)
    const type = column === undefined ? nestedType(name, columns) : parseColumnType(column.type)
    const valueAt = (values: typeof one.values, format: RowFormat) => {
      const value = fieldOf(values, name)
      if (!isMixed || type === undefined) return value
      if (format === 'JSONEachRow') return typedValue(value ?? literalDefault(value, column), type)
      return value === undefined ? undefined : finiteValue(value)
    }
    const mayBeNull = type !== undefined && isNullable(type) && column?.default === undefined
    const found = compareValues(valueAt(one.values, left.format), valueAt(two.values, right.format), {
      path: join(path, name),
      type,
      mayBeNull,
    })
    if (found !== undefined) return found
  }
  return undefined
}

/** What a field that is left out becomes in a column whose default is a number; other defaults are unknown here. */
function literalDefault(value: null | undefined, column: TableColumn | undefined): LosslessValue | undefined {
  const text = column?.default
  if (value === null || text === undefined || !/^\d+$/.test(text)) return value
  return BigInt(text)
}

function fieldOf(values: Readonly<Record<string, LosslessValue>>, name: string): LosslessValue | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined
}

/** `tags.key` of a column `tags Nested(key String, …)` is an array. */
function nestedType(name: string, columns: readonly TableColumn[]): ColumnType | undefined {
  const dot = name.indexOf('.')
  if (dot < 0) return undefined
  const column = columns.find((candidate) => candidate.name === name.slice(0, dot))
  if (column === undefined) return undefined
  const { name: kind, parts } = parseColumnType(column.type)
  const inner = kind === 'Nested' ? elementType({ name: kind, parts }, name.slice(dot + 1)) : undefined
  return inner === undefined ? undefined : { name: 'Array', parts: [typeText(inner)] }
}

function typeText({ name, parts }: ColumnType): string {
  return parts.length === 0 ? name : `${name}(${parts.join(', ')})`
}

type ValuePlace = { path: string; type: ColumnType | undefined; mayBeNull?: boolean }

function compareValues(
  left: LosslessValue | undefined,
  right: LosslessValue | undefined,
  place: ValuePlace,
): Difference | undefined {
  const differs = { path: place.path, left: describeValue(left), right: describeValue(right) }
  if (left === undefined || right === undefined) {
    const areBothNull = (left ?? null) === null && (right ?? null) === null
    return left === right || (areBothNull && place.mayBeNull === true) ? undefined : differs
  }
  if (Array.isArray(left) && Array.isArray(right)) return compareArrays(left, right, place)
  if (isObject(left) && isObject(right)) return compareObjects(left, right, place)
  return isSame(left, right, place.type) ? undefined : differs
}

function compareArrays(
  left: readonly LosslessValue[],
  right: readonly LosslessValue[],
  { path, type }: ValuePlace,
): Difference | undefined {
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const inner = type === undefined ? undefined : elementType(type, at)
    const found = compareValues(left[at], right[at], { path: `${path}[${at}]`, type: inner })
    if (found !== undefined) return found
  }
  return undefined
}

function compareObjects(
  left: Readonly<Record<string, LosslessValue>>,
  right: Readonly<Record<string, LosslessValue>>,
  { path, type }: ValuePlace,
): Difference | undefined {
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const inner = type === undefined ? undefined : elementType(type, key)
    const found = compareValues(fieldOf(left, key), fieldOf(right, key), {
      path: join(path, key),
      type: inner,
    })
    if (found !== undefined) return found
  }
  return undefined
}

function isSame(left: LosslessValue, right: LosslessValue, type: ColumnType | undefined): boolean {
  const one = numberOf(left)
  const two = numberOf(right)
  if (one === undefined || two === undefined) return Object.is(left, right)
  const name = type === undefined ? '' : bareType(type).name
  if (name === 'Float32') return Object.is(Math.fround(Number(one.value)), Math.fround(Number(two.value)))
  if (name.startsWith('Float') || name === 'BFloat16') return Object.is(Number(one.value), Number(two.value))
  return one.isFloat === two.isFloat && sameNumber(one.value, two.value)
}

function sameNumber(left: number | bigint, right: number | bigint): boolean {
  return typeof left === typeof right ? Object.is(left, right) : BigInt(left) === BigInt(right)
}

function numberOf(value: LosslessValue): { value: number | bigint; isFloat: boolean } | undefined {
  if (typeof value === 'bigint') return { value, isFloat: false }
  if (typeof value === 'number') return { value, isFloat: !Number.isInteger(value) }
  return value instanceof JsonFloat ? { value: value.value, isFloat: true } : undefined
}

function isObject(value: LosslessValue): value is { [key: string]: LosslessValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonFloat)
}

function describeValue(value: LosslessValue | undefined): string {
  return value === undefined ? 'left out' : inAscii(stringifyLossless(value))
}

/** Characters that look alike are told apart. */
function inAscii(json: string): string {
  return json.replaceAll(/[^ -~]/g, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function join(path: string, key: string): string {
  return /^[\w$.-]+$/.test(key) ? `${path}.${key}` : `${path}[${quote(key)}]`
}

function quote(text: string): string {
  return JSON.stringify(text)
}
