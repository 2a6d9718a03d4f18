/**
 * JSON without the losses of `JSON.parse`: integers beyond 2^53 are bigints, and a number that was written as
 * a float but has an integer's value (`1.0`, `1e3`, `-0`) is told apart from the integer. What a strict
 * parser such as Rust's serde_json refuses is refused: invalid UTF-8, lone surrogates, numbers out of range,
 * nesting deeper than 127.
 *
 * Most texts hold none of this; one regular expression tells, and they go through V8's parser. Duplicate
 * keys: the last one counts, as in `JSON.parse`.
 */
import { isUtf8 } from 'node:buffer'

/** A number that was written with a fraction or an exponent and whose value is an integer. */
export class JsonFloat {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** A `number` is an integer if its value is one, else a float. */
export type LosslessValue =
  | null
  | boolean
  | string
  | number
  | bigint
  | JsonFloat
  | LosslessValue[]
  | { [key: string]: LosslessValue }

export type LosslessObject = { [key: string]: LosslessValue }

/** serde_json gives up when it enters the 128th level. */
const depthMax = 127

/** Numbers that V8 would change, escapes that may be half a pair. Matches inside strings only cost time. */
const hazard =
  /[[:,\s]-?(?:\d{16}|\d+\.0+(?!\d)|\d+(?:\.\d+)?[eE]|\d{15,}\.)|[[:,\s]-0(?![.\d])|^\s*-?\d|\\u[dD][89a-fA-F]/

/** Whether `parseLosslessText` must take its slow way. */
export function hasJsonHazard(text: string): boolean {
  return hazard.test(text) || isTooDeep(text)
}

/** Counts the levels only of a text that has as many opening brackets as make one too many. */
function isTooDeep(text: string): boolean {
  let brackets = 0
  for (const bracket of ['{', '['])
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1))
      if (++brackets > depthMax) return levelsOf(text) > depthMax
  return false
}

/** How deep a text that is JSON is nested; of any other text some number. */
function levelsOf(text: string): number {
  let level = 0
  let deepest = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x22) at = stringEnd(text, at)
    else if (unit === 0x7b || unit === 0x5b) deepest = Math.max(deepest, ++level)
    else if (unit === 0x7d || unit === 0x5d) level--
  }
  return deepest
}

/** The place of the quote that ends the string whose first quote is at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at === -1) return text.length
    let slashes = at
    while (text.charCodeAt(slashes - 1) === 0x5c) slashes--
    if ((at - slashes) % 2 === 0) return at
  }
}

/** Throws a `SyntaxError` that says what is wrong and at which character. */
export function parseLossless(bytes: Buffer): LosslessValue {
  if (!isUtf8(bytes)) throw new SyntaxError('The text is not valid UTF-8.')
  return parseLosslessText(bytes.toString())
}

export function parseLosslessText(text: string): LosslessValue {
  return hasJsonHazard(text) ? new SlowParser(text).parse() : (JSON.parse(text) as LosslessValue)
}

/** JSON text of a value: integers in full, floats with a fraction, as serde_json prints them. */
export function stringifyLossless(value: LosslessValue): string {
  if (typeof value === 'string' || value === null || typeof value === 'boolean') return JSON.stringify(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : floatText(value)
  if (value instanceof JsonFloat) return floatText(value.value)
  if (Array.isArray(value)) return `[${value.map(stringifyLossless).join(',')}]`
  const fields: string[] = []
  for (const key of Object.keys(value)) {
    const field = value[key]
    if (field !== undefined) fields.push(`${JSON.stringify(key)}:${stringifyLossless(field)}`)
  }
  return `{${fields.join(',')}}`
}

/**
 * A float as Rust prints it: the shortest text that reads back the same, always with a fraction or an
 * exponent. Not a number and infinities have no JSON text and become null.
 */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return 'null'
  if (Object.is(value, -0)) return '-0.0'
  const size = Math.abs(value)
  if (size !== 0 && (size >= 1e16 || size < 1e-5)) return value.toExponential().replace('e+', 'e')
  const text = String(value)
  return Number.isInteger(value) ? `${text}.0` : text
}

const numberForm = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const space = /[ \t\n\r]*/y
/** The inside of a string up to its quote; what it may hold is checked by `JSON.parse`. */
const stringForm = /"(?:[^"\\]|\\.)*"/y
const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/

class SlowParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): LosslessValue {
    const value = this.#value(0)
    this.#skip()
    if (this.#at < this.#text.length) this.#fail('the end')
    return value
  }

  #value(depth: number): LosslessValue {
    this.#skip()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth + 1)
      case '[':
        return this.#array(depth + 1)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): LosslessObject {
    this.#enter(depth)
    const object: LosslessObject = {}
    if (this.#take('}')) return object
    do {
      this.#skip()
      const key = this.#string()
      if (!this.#take(':')) this.#fail('a colon')
      const value = this.#value(depth)
      if (key === '__proto__')
        Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
      else object[key] = value
    } while (this.#take(','))
    if (!this.#take('}')) this.#fail('a comma or a closing brace')
    return object
  }

  #array(depth: number): LosslessValue[] {
    this.#enter(depth)
    const items: LosslessValue[] = []
    if (this.#take(']')) return items
    do items.push(this.#value(depth))
    while (this.#take(','))
    if (!this.#take(']')) this.#fail('a comma or a closing bracket')
    return items
  }

  #enter(depth: number): void {
    if (depth > depthMax)
      throw new SyntaxError(`The JSON is nested deeper than ${depthMax} at character ${this.#at}.`)
    this.#at++
  }

  #string(): string {
    const source = this.#match(stringForm)
    if (source === undefined) this.#fail('a string')
    const text: unknown = JSON.parse(source)
    if (typeof text !== 'string') return this.#fail('a string')
    if (loneSurrogate.test(text))
      throw new SyntaxError(`Half of a surrogate pair stands alone before character ${this.#at}.`)
    return text
  }

  #number(): number | bigint | JsonFloat {
    numberForm.lastIndex = this.#at
    const found = numberForm.exec(this.#text)
    if (found === null) return this.#fail('a value')
    const [source, fraction, exponent] = found
    this.#at += source.length
    const value = Number(source)
    if (!Number.isFinite(value))
      throw new SyntaxError(`The number before character ${this.#at} is out of range.`)
    const isFloat = fraction !== undefined || exponent !== undefined || Object.is(value, -0)
    if (isFloat) return Number.isInteger(value) ? new JsonFloat(value) : value
    if (Number.isSafeInteger(value)) return value
    return BigInt(source)
  }

  #word<Value extends boolean | null>(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value')
    this.#at += word.length
    return value
  }

  #skip(): void {
    this.#match(space)
  }

  #take(mark: string): boolean {
    this.#skip()
    if (this.#text[this.#at] !== mark) return false
    this.#at++
    return true
  }

  #match(form: RegExp): string | undefined {
    form.lastIndex = this.#at
    const found = form.exec(this.#text)
    if (found === null) return undefined
    this.#at += found[0].length
    return found[0]
  }

  #fail(expected: string): never {
    throw new SyntaxError(`Expected ${expected} at character ${this.#at} of the JSON.`)
  }
}
