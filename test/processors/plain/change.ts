/**
 * Changes of a PostgreSQL table as messages, written down plainly after Snuba's CDC processors. An update
 * that changes the key takes the row of the old key away first.
 */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import type { CreateProcessor, Row } from '../../../src/datasets/processor/processor.ts'
import {
  Fields,
  Float,
  fields,
  type Json,
  listOf,
  parseMessage,
  type Read,
  sortedText,
  string,
  unsigned,
} from './strict-json.ts'

export type Columns = ReadonlyMap<string, Json>

export type ChangedTable = {
  table: string
  rowOf: (columns: Columns, offset: number) => Row
  deletedRowOf: (key: Columns, offset: number) => Row
}

export function createChangeProcessor({ table, rowOf, deletedRowOf }: ChangedTable): CreateProcessor {
  return () => ({
    process({ value, offset }, output) {
      const message = fields(parseMessage(value), '').lastOnes()
      const event = message.required('event', string)
      if (event === 'begin' || event === 'commit') return output.skip('no change')
      if (event !== 'change') throw new InvalidMessage('Expected begin, commit or change.', { path: 'event' })
      const changedAt = message.withDefault<string | undefined>('timestamp', postgresTime, undefined)
      if (message.required('table', string) !== table) return output.skip('another table')
      for (const row of rowsOf(message, offset)) output.row(row)
      output.times({ originMs: changedAt === undefined ? undefined : Date.parse(`${changedAt}Z`) })
    },
  })

  function rowsOf(message: Fields, offset: number): Row[] {
    switch (message.required('kind', string)) {
      case 'insert':
        return [rowOf(newColumns(message), offset)]
      case 'delete':
        return [deletedRowOf(oldKey(message), offset)]
      case 'update': {
        const columns = newColumns(message)
        const key = oldKey(message)
        const same = [...key].map(([name, old]) => sortedText(cell(columns, name)) === sortedText(old))
        const isMoved = same.includes(false)
        const row = rowOf(columns, offset)
        return isMoved ? [deletedRowOf(key, offset), row] : [row]
      }
      default:
        throw new InvalidMessage('Expected insert, update or delete.', { path: 'kind' })
    }
  }
}

function newColumns(message: Fields): Columns {
  const names = message.required('columnnames', listOf(string))
  const values = message.required('columnvalues', listOf(told))
  return pairs(names, values)
}

function oldKey(message: Fields): Columns {
  const key = message.required('oldkeys', fields).lastOnes()
  return pairs(key.required('keynames', listOf(string)), key.required('keyvalues', listOf(told)))
}

/** A value of any kind, without numbers that no double can hold. */
const told: Read<Json> = (value, path) => {
  if (value instanceof Float && !Number.isFinite(value.value))
    throw new InvalidMessage('The number is out of range.', { path })
  if (Array.isArray(value)) for (const item of value) told(item, path)
  if (value instanceof Fields) for (const field of value.list) told(field.value, path)
  return value
}

/** As many as the shorter list has. */
function pairs(names: string[], values: Json[]): Columns {
  const columns = new Map<string, Json>()
  for (const [index, name] of names.entries()) {
    const value = values[index]
    if (value !== undefined) columns.set(name, value)
  }
  return columns
}

export function cell(columns: Columns, name: string): Json {
  const value = columns.get(name)
  if (value === undefined) throw new InvalidMessage('The column is required.', { path: name })
  return value
}

export function integerCell(columns: Columns, name: string, bits = 64): bigint {
  return unsigned(bits)(cell(columns, name), name)
}

export function nullableCell(columns: Columns, name: string, bits = 64): bigint | null {
  return cell(columns, name) === null ? null : integerCell(columns, name, bits)
}

/** `2019-06-28 23:57:49.123456+02` becomes `2019-06-28 21:57:49`. */
export const postgresTime: Read<string> = (value, path) => {
  const form = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.\d{1,6})?([+-])(\d{2}):?(\d{2})?:?(\d{2})?$/
  const [, date, clock, sign, hours = 0, minutes = 0, seconds = 0] = form.exec(string(value, path)) ?? []
  const text = `${date}T${clock}`
  const ms = Date.parse(`${text}Z`)
  const isTime = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text)
  if (!isTime || Number(minutes) > 59 || Number(seconds) > 59)
    throw new InvalidMessage('Expected a time.', { path })
  const zoneMs = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
  return new Date(sign === '+' ? ms - zoneMs : ms + zoneMs).toISOString().slice(0, 19).replace('T', ' ')
}
