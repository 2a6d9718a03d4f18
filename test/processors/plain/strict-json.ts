/**
 * A plain JSON parser for the plain processors: every integer is a bigint, every float a `Float`, an object
 * keeps its fields with their source text, and a field that is asked for must not be there twice.
 */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import { floatText } from '../../../src/std/lossless-json.ts'
import { parseUuid } from '../../../src/std/uuid.ts'

export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

export type Json = null | boolean | string | bigint | Float | Json[] | Fields

type Field = { name: string; value: Json; source: string }

/** Reads a value at a place of the message; throws `InvalidMessage` if it is not of the kind. */
export type Read<Value> = (value: Json, path: string) => Value

export class Fields {
  readonly list: Field[] = []

  /** Of fields of one name only the last, as in a dictionary of Python. */
  lastOnes(): Fields {
    const last = new Fields()
    last.list.push(...new Map(this.list.map((field) => [field.name, field])).values())
    return last
  }

  /** The field, which may be absent, but not there twice. */
  find(name: string): Field | undefined {
    const found = this.list.filter((field) => field.name === name)
    if (found.length > 1) throw new InvalidMessage('The field is there twice.', { path: name })
    return found[0]
  }

  required<Value>(name: string, read: Read<Value>): Value {
    const field = this.find(name)
    if (field === undefined) throw new InvalidMessage('The field is required.', { path: name })
    return read(field.value, name)
  }

  /** `instead` only for an absent field: null is for `read` to judge. */
  withDefault<Value>(name: string, read: Read<Value>, instead: Value): Value {
    const field = this.find(name)
    return field === undefined ? instead : read(field.value, name)
  }

  /** Absent and null are the same. */
  optional<Value>(name: string, read: Read<Value>): Value | undefined {
    const field = this.find(name)
    return field === undefined || field.value === null ? undefined : read(field.value, name)
  }
}

function wrong(expected: string, path: string): never {
  throw new InvalidMessage(`Expected ${expected}.`, { path })
}

export const string: Read<string> = (value, path) =>
  typeof value === 'string' ? value : wrong('a string', path)

export const boolean: Read<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : wrong('true or false', path)

export const fields: Read<Fields> = (value, path) =>
  value instanceof Fields ? value : wrong('an object', path)

export const anything: Read<Json> = (value) => value

/** A value of any kind that Rust keeps before it looks at it: no number in it is out of range. */
export const kept: Read<Json> = (value, path) => {
  if (value instanceof Float) float(value, path)
  if (Array.isArray(value)) for (const item of value) kept(item, path)
  if (value instanceof Fields) for (const field of value.list) kept(field.value, path)
  return value
}

/** A float, from an integer as well. */
export const float: Read<number> = (value, path) => {
  const number = value instanceof Float ? value.value : typeof value === 'bigint' ? Number(value) : undefined
  return number !== undefined && Number.isFinite(number) ? number : wrong('a number', path)
}

export const uuid: Read<string> = (value, path) => parseUuid(string(value, path)) ?? wrong('a UUID', path)

export function unsigned(bits: number): Read<bigint> {
  return (value, path) =>
    typeof value === 'bigint' && value >= 0n && value < 1n << BigInt(bits)
      ? value
      : wrong(`an integer of ${bits} bits without a sign`, path)
}

export function listOf<Value>(read: Read<Value>): Read<Value[]> {
  return (value, path) =>
    Array.isArray(value) ? value.map((item) => read(item, `${path}[]`)) : wrong('an array', path)
}

/** A float as an unsigned integer: cut off, and kept in range. */
export function truncate(value: number, bits: number): bigint {
  if (!(value >= 1)) return 0n
  const max = (1n << BigInt(bits)) - 1n
  const whole = Number.isFinite(value) ? BigInt(Math.trunc(value)) : max
  return whole > max ? max : whole
}

/** Compact text with the names of objects in the order of their bytes; of a name twice the last counts. */
export function sortedText(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Float) return floatText(value.value)
  if (Array.isArray(value)) return `[${value.map(sortedText).join(',')}]`
  return sortedFields(new Map(value.list.map((field) => [field.name, field.value])))
}

export function sortedFields(map: ReadonlyMap<string, Json>): string {
  const names = [...map.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `{${names.map((name) => `${JSON.stringify(name)}:${sortedText(map.get(name) ?? null)}`).join(',')}}`
}

/**
 * Parses a message; throws `InvalidMessage` if it is not JSON. A number out of range is refused, or becomes an
 * infinity which only `float` refuses: serde_json does not look at the numbers of fields that nobody asks for.
 * Integers beyond 64 bits are floats, as in serde_json, or integers, as in Python.
 */
export function parseMessage(
  bytes: Uint8Array,
  outOfRange: 'refuse' | 'unless unread' = 'refuse',
  integers: 'of 64 bits' | 'of any size' = 'of 64 bits',
): Json {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return new Parser(text, outOfRange === 'refuse', integers === 'of any size').parse()
  } catch (error) {
    throw new InvalidMessage('The message is not JSON.', { cause: error })
  }
}

class Parser {
  readonly #text: string
  #at = 0

  readonly #isRangeChecked: boolean
  readonly #hasLargeIntegers: boolean

  constructor(text: string, isRangeChecked: boolean, hasLargeIntegers: boolean) {
    this.#text = text
    this.#isRangeChecked = isRangeChecked
    this.#hasLargeIntegers = hasLargeIntegers
  }

  parse(): Json {
    const value = this.#value(0)
    this.#space()
    if (this.#at < this.#text.length) throw new SyntaxError('more after the value')
    return value
  }

  #value(depth: number): Json {
    this.#space()
    const first = this.#text[this.#at]
    if (depth >= 127 && (first === '{' || first === '[')) throw new SyntaxError('nested too deep')
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return this.#string()
    for (const [word, value] of [
      ['null', null],
      ['true', true],
      ['false', false],
    ] as const)
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    return this.#number()
  }

  #object(depth: number): Fields {
    const object = new Fields()
    this.#expect('{')
    if (this.#has('}')) return object
    do {
      this.#space()
      const name = this.#string()
      this.#expect(':')
      this.#space()
      const start = this.#at
      const value = this.#value(depth + 1)
      object.list.push({ name, value, source: this.#text.slice(start, this.#at) })
    } while (this.#has(','))
    this.#expect('}')
    return object
  }

  #array(depth: number): Json[] {
    const items: Json[] = []
    this.#expect('[')
    if (this.#has(']')) return items
    do items.push(this.#value(depth + 1))
    while (this.#has(','))
    this.#expect(']')
    return items
  }

  #string(): string {
    const source = this.#match(/"(?:[^"\\]|\\.)*"/sy)
    const text: unknown = JSON.parse(source)
    if (typeof text !== 'string' || !text.isWellFormed()) throw new SyntaxError('no string')
    return text
  }

  #number(): bigint | Float {
    const source = this.#match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y)
    if (this.#isRangeChecked && !Number.isFinite(Number(source)))
      throw new SyntaxError('a number out of range')
    if (!/^-?\d+$/.test(source)) return new Float(Number(source))
    const value = BigInt(source)
    if (this.#hasLargeIntegers) return value
    if (source === '-0') return new Float(-0)
    return value < 1n << 64n && value >= -(1n << 63n) ? value : new Float(Number(source))
  }

  #space(): void {
    this.#match(/[ \t\r\n]*/y)
  }

  #has(mark: string): boolean {
    this.#space()
    const isThere = this.#text[this.#at] === mark
    if (isThere) this.#at++
    return isThere
  }

  #expect(mark: string): void {
    if (!this.#has(mark)) throw new SyntaxError(`no ${mark}`)
  }

  #match(form: RegExp): string {
    form.lastIndex = this.#at
    const found = form.exec(this.#text)?.[0]
    if (found === undefined) throw new SyntaxError(`nothing at ${this.#at}`)
    this.#at += found.length
    return found
  }
}
