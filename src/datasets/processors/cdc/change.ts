/**
 * Changes of a Postgres table as its replication log tells them (wal2json): a row's columns after an insert
 * or update, its keys before an update or delete.
 */
import { textOf } from '../../../std/arena.ts'
import { type LosslessValue, parseLosslessText } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { readWholeMessage } from '../message-fields.ts'
import { PayloadFields } from '../payload/payload-fields.ts'

/** Values by the name of their column. */
export type ChangedRow = ReadonlyMap<string, LosslessValue>

export type Change =
  | { kind: 'insert'; row: ChangedRow }
  | { kind: 'update'; row: ChangedRow; oldKeys: ChangedRow }
  | { kind: 'delete'; oldKeys: ChangedRow }

const message = new PayloadFields(
  ['event', 'kind', 'table', 'timestamp', 'columnnames', 'columnvalues', 'oldkeys'],
  { isLastCounted: true },
)
const [event, kind, table, timestamp, columnNames, columnValues, oldKeys] = [0, 1, 2, 3, 4, 5, 6] as const
const keys = new PayloadFields(['keynames', 'keyvalues'], {
  path: 'oldkeys.',
  after: message,
  isLastCounted: true,
})
const [keyNames, keyValues] = [0, 1] as const

/**
 * A change of the table, and when it was committed, in ms since 1970. In words, why the message is none: the
 * begin or end of a transaction, or a change of another table.
 */
export function readChange(
  value: Buffer,
  wanted: string,
): { change: Change; committedMs: number | undefined } | string {
  readWholeMessage(value, message.set)
  const eventName = message.text(event)
  if (eventName === 'begin' || eventName === 'commit') return 'begin or end of a transaction'
  if (eventName !== 'change') return message.refuse(event, 'begin, change or commit')
  const committedMs = message.isAbsent(timestamp)
    ? undefined
    : postgresTime(message.text(timestamp), 'timestamp')
  return message.text(table) === wanted ? { change: readRows(), committedMs } : 'another table'
}

function readRows(): Change {
  const kindName = message.text(kind)
  switch (kindName) {
    case 'insert':
      return { kind: kindName, row: newRow() }
    case 'update':
      return { kind: kindName, row: newRow(), oldKeys: oldRow() }
    case 'delete':
      return { kind: kindName, oldKeys: oldRow() }
    default:
      return message.refuse(kind, 'insert, update or delete')
  }
}

function newRow(): ChangedRow {
  return rowOf(listOf(message, columnNames), listOf(message, columnValues), 'columnnames')
}

function oldRow(): ChangedRow {
  keys.readFrom(message, oldKeys)
  return rowOf(listOf(keys, keyNames), listOf(keys, keyValues), 'oldkeys.keynames')
}

const timeForm =
  /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?([+-])(\d{2})(?::?(\d{2})(?::?(\d{2}))?)?$/

/** ms since 1970 of a time as Postgres prints it: `2026-08-22 06:57:43.123+00`. */
export function postgresTime(value: LosslessValue | undefined, path: string): number {
  const found = typeof value === 'string' ? timeForm.exec(value) : null
  const numbers = (found ?? []).slice(1).map(Number)
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = numbers
  const [zoneHours = 0, zoneMinutes = 0, zoneSeconds = 0] = numbers.slice(8).map((part) => part || 0)
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const isDate = month >= 1 && month <= 12 && date.getUTCDate() === day && year > 0
  const isTime = hour <= 23 && minute <= 59 && second <= 59 && zoneMinutes <= 59 && zoneSeconds <= 59
  if (found === null || !isDate || !isTime)
    throw invalid(path, 'must be a time such as 2026-08-22 06:57:43+00')
  const fraction = Number((found[7] ?? '').slice(0, 3).padEnd(3, '0'))
  const zoneMs = ((zoneHours * 60 + zoneMinutes) * 60 + zoneSeconds) * 1000
  return date.setUTCHours(hour, minute, second, fraction) - (found[8] === '-' ? -zoneMs : zoneMs)
}

const u64Max = 2n ** 64n - 1n

/** An integer from 0 to `max`. */
export function columnInteger(row: ChangedRow, name: string, max = u64Max): number | bigint {
  const value = columnOf(row, name)
  const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value))
  if (!isInteger || value < 0 || value > max) throw invalid(name, `must be an integer from 0 to ${max}`)
  return value
}

/** Null stays null. */
export function nullableInteger(row: ChangedRow, name: string, max = u64Max): number | bigint | null {
  return columnOf(row, name) === null ? null : columnInteger(row, name, max)
}

/** The column must be there, and may be null. */
export function columnOf(row: ChangedRow, name: string): LosslessValue {
  const value = row.get(name)
  if (value === undefined) throw invalid(name, 'is required')
  return value
}

export function invalid(path: string, what: string): InvalidMessage {
  return new InvalidMessage(`${path === '' ? 'The message' : `The field ${path}`} ${what}.`, { path })
}

function rowOf(names: readonly LosslessValue[], values: readonly LosslessValue[], path: string): ChangedRow {
  const row = new Map<string, LosslessValue>()
  for (const [index, name] of names.entries()) {
    const value = values[index]
    if (typeof name !== 'string') throw invalid(path, 'must be a list of strings')
    if (value !== undefined) row.set(name, value)
  }
  return row
}

function listOf(from: PayloadFields, field: number): LosslessValue[] {
  if (from.isAbsent(field)) from.refuse(field, 'a list')
  const value = parse(textOf(from.start(field), from.end(field)))
  return Array.isArray(value) ? value : from.refuse(field, 'a list')
}

function parse(text: string): LosslessValue {
  try {
    return parseLosslessText(text)
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidMessage(error.message, { cause: error })
    throw error
  }
}
