/**
 * Any value of an event as text, as Snuba's Rust processors make it: a string as it is, a number as serde_json
 * prints it, an array or object as compact JSON with sorted keys.
 */
import { arenaBytes, bytesOf, textOf } from '../../../std/arena.ts'
import { floatText, JsonFloat, type LosslessValue, parseLossless } from '../../../std/lossless-json.ts'
import type { CellText } from './cells.ts'
import { type JsonScanner, toBytes } from './json-scanner.ts'

const memory = arenaBytes()
const unsignedMax = 2n ** 64n - 1n
const signedMin = -(2n ** 63n)
const digitsSafe = 15

/**
 * Reads a value as text in JSON: null; `undefined` for a string, whose source with its quotes is from
 * `scanner.start - 1` up to `scanner.end + 1`; or the JSON text.
 */
export function readUnicode(scanner: JsonScanner): CellText {
  if (scanner.takeString()) return undefined
  scanner.skip()
  return unicodeAt(scanner.start, scanner.end)
}

/** The same for a value that has been found: from `start` up to `end`, with its quotes if it is a string. */
export function unicodeAt(start: number, end: number): CellText {
  switch (memory[start]) {
    case 0x22:
      return undefined
    case 0x6e:
      return null
    case 0x74:
      return '"true"'
    case 0x66:
      return '"false"'
    case 0x5b:
    case 0x7b:
      return toBytes(JSON.stringify(sortedJson(parseLossless(bytesOf(start, end)))))
    default:
      return `"${numberTextAt(start, end)}"`
  }
}

/** A value of a context as text: as above, but booleans as Python prints them, and arrays and objects are null. */
export function readContextValue(scanner: JsonScanner): CellText {
  if (scanner.takeString()) return undefined
  scanner.skip()
  switch (memory[scanner.start]) {
    case 0x74:
      return '"True"'
    case 0x66:
      return '"False"'
    case 0x6e:
    case 0x5b:
    case 0x7b:
      return null
    default:
      return `"${numberTextAt(scanner.start, scanner.end)}"`
  }
}

/** A number as serde_json prints it. Integers that fit into no 64 bits have become floats. */
function numberTextAt(start: number, end: number): string {
  const source = textOf(start, end, 'latin1')
  if (!isInteger(start, end)) return floatText(Number(source))
  return source.length <= digitsSafe ? source : integerText(BigInt(source))
}

/** Whether a number has only digits and perhaps a sign, and is not -0, which is a float. */
function isInteger(start: number, end: number): boolean {
  const isNegative = memory[start] === 0x2d
  for (let at = isNegative ? start + 1 : start; at < end; at++) {
    const byte = memory[at] ?? 0
    if (byte < 0x30 || byte > 0x39) return false
  }
  return !isNegative || memory[start + 1] !== 0x30
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
