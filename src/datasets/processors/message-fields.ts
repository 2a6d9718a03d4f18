/**
 * The fields of a JSON message as columns of a row, piece by piece: a value whose text can stand in the row
 * as it is gets copied, and only what a column changes is computed. Types are as strict as those of Snuba's
 * processors: a float for an integer, an integer out of range, a null for what has to be there, or a name
 * twice make the message invalid.
 */
import { isUtf8 } from 'node:buffer'
import {
  arenaBytes,
  constantPiece,
  loadMessage,
  messageStart,
  type Piece,
  put,
  putAscii,
  putByte,
  putCopy,
  putUnsigned,
} from '../../std/arena.ts'
import {
  fieldEnd,
  fieldStart,
  findMessageFields,
  foundBeyondAscii,
  foundLargeNumber,
  type JsonFieldSet,
  readText,
} from '../../std/arena-json.ts'
import { isI64, isU64, readFloat, readUnsigned } from '../../std/arena-numbers.ts'
import { putUuidOf } from '../../std/arena-uuid.ts'
import { InvalidMessage } from '../processor/invalid-message.ts'

const memory = arenaBytes()

/** `micros`: seconds as a float become microseconds as an integer. `flag`: a boolean becomes 0 or 1. */
export type ColumnKind = 'string' | 'u8' | 'u16' | 'u32' | 'u64' | 'i64' | 'bool' | 'flag' | 'uuid' | 'micros'

export type FieldColumn = {
  field: string
  kind: ColumnKind
  /** Name of the column; none for a field that is only checked. Default: the field's name. */
  column?: string | undefined
  /** JSON text of the column where the field is absent; without one the field is required. */
  absent?: string
  /** JSON text of the column where the field is null; without one null is invalid. */
  null?: string
}

const maxima = { u8: 0xff, u16: 0xffff, u32: 0xffff_ffff } as const
const u64Max = 2n ** 64n - 1n

/** Loads a message into the arena and finds its fields. */
export function readMessage(value: Buffer, fields: JsonFieldSet): void {
  loadMessage(value)
  findLoaded(value, fields)
}

/** Finds the fields of the message that was loaded. */
export function findLoaded(value: Buffer, fields: JsonFieldSet): void {
  try {
    findMessageFields(messageStart, messageStart + value.length, fields)
  } catch (error) {
    throw invalidMessage(value, error)
  }
  if (foundBeyondAscii()) requireUtf8(value)
}

function requireUtf8(value: Buffer): void {
  if (!isUtf8(value)) throw new InvalidMessage('The message is not valid UTF-8.')
}

/** What is thrown for a message that `error` was thrown for. */
function invalidMessage(value: Buffer, error: unknown): unknown {
  requireUtf8(value)
  return invalidJson(error)
}

/** The same, for messages whose every number is read: one that no double can hold is refused in any field. */
export function readWholeMessage(value: Buffer, fields: JsonFieldSet): void {
  readMessage(value, fields)
  if (foundLargeNumber()) throw new InvalidMessage('A number is beyond the range of doubles.')
}

export function invalidJson(error: unknown): unknown {
  return error instanceof SyntaxError ? new InvalidMessage(error.message, { cause: error }) : error
}

/** Of one shape for all columns, which keeps the loop over them quick. */
type Encoded = {
  field: string
  kind: ColumnKind
  name: Piece
  absentPiece: Piece | undefined
  nullPiece: Piece | undefined
}

/**
 * Columns of a row out of the first fields of a set; each begins with a comma. For messages in which the last
 * of equal fields counts, and so can only be written when all have been found; others are `CopiedColumns`.
 */
export class FieldColumns {
  readonly names: readonly string[]
  readonly #columns: readonly Encoded[]
  readonly #path: string

  constructor(columns: readonly FieldColumn[], path = '') {
    this.#path = path
    this.names = columns.map(({ field }) => field)
    this.#columns = columns.map((column) => {
      const name = `,${JSON.stringify(column.column ?? column.field)}:`
      const pieceOf = (text: string | undefined) =>
        text === undefined ? undefined : constantPiece(name + text)
      const [absentPiece, nullPiece] = [pieceOf(column.absent), pieceOf(column.null)]
      const { field, kind } = column
      return { field, kind, name: constantPiece(name), absentPiece, nullPiece }
    })
  }

  /** Writes all columns of the object whose fields have been found. Room must have been made. */
  put({ base }: JsonFieldSet): void {
    const columns = this.#columns
    for (let index = 0; index < columns.length; index++) {
      const column = columns[index]
      if (column === undefined) return
      const start = fieldStart(base, index)
      if (start === 0) {
        if (column.absentPiece === undefined) throw this.#invalid(column, 'is required')
        put(column.absentPiece)
      } else if (memory[start] === 0x6e) {
        if (column.nullPiece === undefined) throw this.#invalid(column, 'must not be null')
        put(column.nullPiece)
      } else {
        put(column.name)
        if (!putValue(column.kind, start, fieldEnd(base, index)))
          throw this.#invalid(column, `must be ${kindNames[column.kind]}`)
      }
    }
  }

  #invalid({ field }: Encoded, what: string): InvalidMessage {
    return new InvalidMessage(`The field ${field} ${what}.`, { path: `${this.#path}${field}` })
  }
}

export const kindNames: Record<ColumnKind, string> = {
  string: 'a string',
  u8: 'an integer from 0 to 255',
  u16: 'an integer from 0 to 65535',
  u32: 'an integer from 0 to 2^32 - 1',
  u64: 'an integer from 0 to 2^64 - 1',
  i64: 'an integer of 64 bits',
  bool: 'true or false',
  flag: 'true or false',
  uuid: 'a UUID',
  micros: 'a number',
}

/** Writes a value; `false` if it is not of the kind. */
export function putValue(kind: ColumnKind, start: number, end: number): boolean {
  switch (kind) {
    case 'flag':
      if (!isValue('bool', start, end)) return false
      putByte(memory[start] === 0x74 ? 0x31 : 0x30)
      return true
    case 'uuid':
      return putUuidOf(start, end)
    case 'micros':
      return putMicros(start, end)
    default:
      if (!isValue(kind, start, end)) return false
  }
  putCopy(start, end)
  return true
}

/** Whether a value is one of a kind that is copied as it is; of other kinds there is none. */
export function isValue(kind: ColumnKind, start: number, end: number): boolean {
  const first = memory[start]
  switch (kind) {
    case 'string':
      return first === 0x22
    case 'u64':
      return isU64(start, end)
    case 'i64':
      return isI64(start, end)
    case 'bool':
      return first === 0x74 || first === 0x66
    case 'u8':
    case 'u16':
    case 'u32':
      return readUnsigned(start, end, maxima[kind]) !== undefined
    default:
      return false
  }
}

function putMicros(start: number, end: number): boolean {
  const seconds = readFloat(start, end)
  if (seconds === undefined) return false
  putTruncated(seconds * 1e6)
  return true
}

/** An integer as Rust's `as u64` makes it of a float: cut off, and kept in range. */
export function putTruncated(value: number): void {
  if (value < 1) putByte(0x30)
  else if (value <= Number.MAX_SAFE_INTEGER) putUnsigned(Math.floor(value))
  else if (value >= 2 ** 64) putAscii(u64Max.toString())
  else putAscii(BigInt(value).toString())
}

/** `value` as `as u32` makes it of a float. */
export function truncateToU32(value: number): number {
  return Math.min(0xffff_ffff, Math.max(0, Math.trunc(value)))
}

/** Checked values of a message, where a processor needs more than a copy. Fields are places in the set. */
export class FieldReader {
  readonly #set: JsonFieldSet
  readonly #base: number

  constructor(set: JsonFieldSet) {
    this.#set = set
    this.#base = set.base
  }

  start(field: number): number {
    return fieldStart(this.#base, field)
  }

  end(field: number): number {
    return fieldEnd(this.#base, field)
  }

  has(field: number): boolean {
    return this.start(field) !== 0
  }

  /** Absent or null. */
  isMissing(field: number): boolean {
    const start = this.start(field)
    return start === 0 || memory[start] === 0x6e
  }

  float(field: number): number {
    const value = this.has(field) ? readFloat(this.start(field), this.end(field)) : undefined
    return value ?? this.refuse(field, 'a number')
  }

  /** An integer up to `max`, below 2^53. */
  unsigned(field: number, max: number): number {
    const value = this.has(field) ? readUnsigned(this.start(field), this.end(field), max) : undefined
    return value ?? this.refuse(field, `an integer from 0 to ${max}`)
  }

  u64(field: number): void {
    if (!isU64(this.start(field), this.end(field))) this.refuse(field, kindNames.u64)
  }

  /** Seconds since 1970 as an integer of 64 bits. */
  seconds(field: number): number {
    const start = this.start(field)
    const end = this.end(field)
    if (!isI64(start, end)) this.refuse(field, kindNames.i64)
    return readFloat(start, end) ?? 0
  }

  string(field: number): void {
    if (memory[this.start(field)] !== 0x22 || !this.has(field)) this.refuse(field, kindNames.string)
  }

  text(field: number): string {
    this.string(field)
    return readText(this.start(field), this.end(field))
  }

  refuse(field: number, expected: string): never {
    const name = this.#set.names[field] ?? ''
    const what = this.has(field) ? `must be ${expected}` : 'is required'
    throw new InvalidMessage(`The field ${name} ${what}.`, { path: name })
  }
}
