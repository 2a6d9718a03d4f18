/**
 * The fields of one object of a payload in the arena, found once, and put into a row one after the other.
 * Texts and integers are copied as they stand in the message; only what a column changes is computed. As
 * strict as the structs of Snuba's processors: see `message-fields.ts`.
 */
import { arenaBytes, constantPiece, type Piece, put, putAscii, putByte, putCopy } from '../../../std/arena.ts'
import {
  fieldEnd,
  fieldStart,
  findFields,
  JsonFieldSet,
  type ReadValue,
  readText,
  skipValue,
} from '../../../std/arena-json.ts'
import { isU64, readFloat, readUnsigned } from '../../../std/arena-numbers.ts'
import { putUuidOf } from '../../../std/arena-uuid.ts'
import { floatText } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { invalidJson } from '../message-fields.ts'

const memory = arenaBytes()
const letterN = 0x6e
const quote = 0x22
const openBrace = 0x7b

/** Pieces of rows that stand for a value that is not there. */
export const emptyText = constantPiece('""')
export const nullText = constantPiece('null')
export const nilUuid = constantPiece('"00000000-0000-0000-0000-000000000000"')
export const zero = constantPiece('0')
const emptyObject = constantPiece('{}')

export type PayloadFieldsOptions = {
  /** Where the object is in the message, for what is said about its fields. */
  path?: string
  /** Other fields of the same processor that are in use at the same time. */
  after?: PayloadFields
  /** The field of others whose value the object is. It is read together with them: see `enter`. */
  inside?: { fields: PayloadFields; field: number }
  /** Of a field that is there twice the last counts, as in Python; else it is refused, as in Rust. */
  isLastCounted?: boolean
}

export class PayloadFields {
  readonly set: JsonFieldSet
  readonly #base: number
  readonly #path: string
  /** Of how many others the object is inside. */
  readonly #depth: number

  constructor(
    names: readonly string[],
    { path = '', after, inside, isLastCounted = false }: PayloadFieldsOptions = {},
  ) {
    this.#base = after === undefined ? 0 : after.set.base + 2 * after.set.names.length
    this.set = new JsonFieldSet(names, this.#base, isLastCounted)
    this.#path = path
    this.#depth = path.replace(/[^.[]/g, '').length
    inside?.fields.readWith(inside.field, (at, depth) =>
      memory[at] === openBrace ? findFields(at, this.set, depth) : skipValue(at, depth),
    )
  }

  /** Finds the fields of the object at `at`. Returns the place after it. */
  read(at: number): number {
    if (memory[at] !== 0x7b) throw this.#invalid(this.#path.replace(/\.$/, ''), 'must be an object')
    try {
      return findFields(at, this.set, this.#depth)
    } catch (error) {
      throw invalidJson(error)
    }
  }

  /** Finds the fields of an object that is the value of another's field. It must be there. */
  readFrom(from: PayloadFields, field: number): void {
    if (from.isAbsent(field)) from.refuse(field, 'an object')
    this.read(from.start(field))
  }

  /** Has the value of a field read by a function of its own, instead of being skipped. */
  readWith(field: number, read: ReadValue): void {
    this.set.readers[field] = read
  }

  /** Refuses a message in which the field that these are inside of, and were read with, is no object. */
  enter({ fields, field }: { fields: PayloadFields; field: number }): void {
    if (fields.isAbsent(field) || memory[fields.start(field)] !== openBrace) fields.refuse(field, 'an object')
  }

  /** None of the fields is there. */
  clear(): void {
    findFields(emptyObject.start, this.set)
  }

  /** Where the value begins; 0 if the field is absent. */
  start(field: number): number {
    return fieldStart(this.#base, field)
  }

  end(field: number): number {
    return fieldEnd(this.#base, field)
  }

  isAbsent(field: number): boolean {
    return fieldStart(this.#base, field) === 0
  }

  /** Absent or null. */
  isMissing(field: number): boolean {
    const start = fieldStart(this.#base, field)
    return start === 0 || memory[start] === letterN
  }

  putString(field: number): void {
    const start = fieldStart(this.#base, field)
    if (start === 0 || memory[start] !== quote) this.refuse(field, 'a string')
    putCopy(start, fieldEnd(this.#base, field))
  }

  /** A string, or `instead` where there is none. */
  putOptionalString(field: number, instead: Piece): void {
    if (this.isMissing(field)) put(instead)
    else this.putString(field)
  }

  /** What the string says. */
  text(field: number): string {
    const start = fieldStart(this.#base, field)
    if (start === 0 || memory[start] !== quote) this.refuse(field, 'a string')
    return readText(start, fieldEnd(this.#base, field))
  }

  optionalText(field: number): string | undefined {
    return this.isMissing(field) ? undefined : this.text(field)
  }

  putU64(field: number): void {
    const start = fieldStart(this.#base, field)
    const end = fieldEnd(this.#base, field)
    if (start === 0 || !isU64(start, end)) this.refuse(field, 'an integer from 0 to 2^64 - 1')
    putCopy(start, end)
  }

  putOptionalU64(field: number, instead: Piece): void {
    if (this.isMissing(field)) put(instead)
    else this.putU64(field)
  }

  /** An integer up to `max`, which is below 2^53. */
  unsigned(field: number, max: number): number {
    const start = fieldStart(this.#base, field)
    const value = start === 0 ? undefined : readUnsigned(start, fieldEnd(this.#base, field), max)
    return value ?? this.refuse(field, `an integer from 0 to ${max}`)
  }

  optionalUnsigned(field: number, max: number): number | undefined {
    return this.isMissing(field) ? undefined : this.unsigned(field, max)
  }

  float(field: number): number {
    const start = fieldStart(this.#base, field)
    const value = start === 0 ? undefined : readFloat(start, fieldEnd(this.#base, field))
    return value ?? this.refuse(field, 'a number')
  }

  optionalFloat(field: number): number | undefined {
    return this.isMissing(field) ? undefined : this.float(field)
  }

  boolean(field: number): boolean {
    const byte = this.isAbsent(field) ? 0 : memory[fieldStart(this.#base, field)]
    if (byte !== 0x74 && byte !== 0x66) this.refuse(field, 'true or false')
    return byte === 0x74
  }

  putUuid(field: number): void {
    const start = fieldStart(this.#base, field)
    if (start === 0 || !putUuidOf(start, fieldEnd(this.#base, field))) this.refuse(field, 'a UUID')
  }

  putOptionalUuid(field: number, instead: Piece): void {
    if (this.isMissing(field)) put(instead)
    else this.putUuid(field)
  }

  refuse(field: number, expected: string): never {
    const name = `${this.#path}${this.set.names[field] ?? ''}`
    throw this.#invalid(name, this.isAbsent(field) ? 'is required' : `must be ${expected}`)
  }

  #invalid(name: string, what: string): InvalidMessage {
    return new InvalidMessage(`${name === '' ? 'The message' : `The field ${name}`} ${what}.`, { path: name })
  }
}

/** Puts a string of ASCII characters that need no escapes. */
export function putQuoted(ascii: string): void {
  putByte(quote)
  putAscii(ascii)
  putByte(quote)
}

/** A number as a column of floats has it: with a fraction. */
export function putFloat(value: number): void {
  putAscii(floatText(value))
}
