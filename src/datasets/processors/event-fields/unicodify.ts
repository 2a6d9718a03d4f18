/**
 * Any value of an event as text, as Snuba's Rust processors make it: a string as it is, a number as serde_json
 * prints it, an array or object as compact JSON with sorted keys.
 */
import { floatText, JsonFloat, type LosslessValue, parseLossless } from '../../../std/lossless-json.ts'
import type { CellText } from './cells.ts'
import { type JsonScanner, toBytes } from './json-scanner.ts'

const unsignedMax = 2n ** 64n - 1n
const signedMin = -(2n ** 63n)
const digitsSafe = 15

/**
 * Reads a value as text in JSON: null; `undefined` for a string, whose source with its quotes is from
 * `scanner.start - 1` up to `scanner.end + 1`; or the JSON text.
 */
export function readUnicode(scanner: JsonScanner): CellText {
  if (scanner.takeString()) return undefined
  switch (scanner.kind()) {
    case 'null':
      scanner.takeNull()
      return null
    case 'number':
      scanner.number()
      return `"${numberText(scanner)}"`
    case 'true':
    case 'false':
      return scanner.boolean() ? '"true"' : '"false"'
    default: {
      const start = scanner.at
      scanner.skip()
      const value = parseLossless(scanner.bytes.subarray(start, scanner.position))
      return toBytes(JSON.stringify(sortedJson(value)))
    }
  }
}

/** A value of a context as text: as above, but booleans as Python prints them, and arrays and objects are null. */
export function readContextValue(scanner: JsonScanner): CellText {
  if (scanner.takeString()) return undefined
  switch (scanner.kind()) {
    case 'number':
      scanner.number()
      return `"${numberText(scanner)}"`
    case 'true':
    case 'false':
      return scanner.boolean() ? '"True"' : '"False"'
    default:
      scanner.skip()
      return null
  }
}

/** The number read last as serde_json prints it. Integers that fit into no 64 bits have become floats. */
export function numberText(scanner: JsonScanner): string {
  const source = scanner.token()
  if (scanner.isFloat) return floatText(Number(source))
  return source.length <= digitsSafe ? source : integerText(BigInt(source))
}

function integerText(value: bigint): string {
  return value >= signedMin && value <= unsignedMax ? String(value) : floatText(Number(value))
}

/** Compact JSON, keys in the order of their UTF-8 bytes. */
export function sortedJson(value: LosslessValue): string {
  if (typeof value === 'bigint') return integerText(value)
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : floatText(value)
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`
  if (value instanceof JsonFloat) return floatText(value.value)
  const fields = Object.entries(value).map(([key, field]) => ({ key, bytes: toBytes(key), field }))
  fields.sort((left, right) => (left.bytes < right.bytes ? -1 : 1))
  return `{${fields.map(({ key, field }) => `${JSON.stringify(key)}:${sortedJson(field)}`).join(',')}}`
}
