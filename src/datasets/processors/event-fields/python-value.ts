/**
 * JSON as Python reads it, for the processors that exist in Python only: objects are Maps, which keep the order
 * of their keys as dicts do (an object of JavaScript puts keys like "1" first), and integers have any length.
 */
import { floatText, JsonFloat } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { fromBytes, type JsonScanner } from './json-scanner.ts'

export type PyDict = Map<string, PyValue>
/** A `number` is an integer, a float is a `JsonFloat`. */
export type PyValue = null | boolean | string | number | bigint | JsonFloat | PyValue[] | PyDict

const digitsSafe = 15
const beyondAscii = /[\u0080-\uffff]/
/** Python's `str` of a float takes exponents beyond these. */
const plainMax = 1e16
const plainMin = 1e-4

/**
 * Keys of an object that are wanted, and in turn those of their values; undefined stands for all. For an array
 * they are the keys of its items.
 */
export type WantedKeys = ReadonlyMap<string, WantedKeys | undefined>

/** Reads the next value. Keys that are not wanted are passed over. */
export function readPyValue(scanner: JsonScanner, wanted?: WantedKeys): PyValue {
  if (scanner.takeString()) return readCharacters(scanner)
  switch (scanner.kind()) {
    case 'number':
      return readPyNumber(scanner)
    case 'true':
    case 'false':
      return scanner.boolean()
    case 'null':
      scanner.takeNull()
      return null
    case 'array': {
      const items: PyValue[] = []
      scanner.enterArray()
      while (scanner.nextItem()) items.push(readPyValue(scanner, wanted))
      return items
    }
    default:
      return readPyDict(scanner, wanted)
  }
}

function readPyDict(scanner: JsonScanner, wanted: WantedKeys | undefined): PyDict {
  const dict: PyDict = new Map()
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = readCharacters(scanner)
    if (wanted === undefined || wanted.has(key)) dict.set(key, readPyValue(scanner, wanted?.get(key)))
    else scanner.skip()
  }
  return dict
}

/** The string read last, as characters. */
function readCharacters(scanner: JsonScanner): string {
  const bytes = scanner.text()
  return beyondAscii.test(bytes) ? fromBytes(bytes) : bytes
}

function readPyNumber(scanner: JsonScanner): number | bigint | JsonFloat {
  scanner.number()
  const source = scanner.token()
  if (source === '-0') return 0
  if (scanner.isFloat) return new JsonFloat(Number(source))
  return source.length <= digitsSafe ? Number(source) : BigInt(source)
}

/** Whether Python takes the value for true. */
export function isTruthy(value: PyValue | undefined): boolean {
  if (value instanceof Map) return value.size > 0
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof JsonFloat) return value.value !== 0
  return Boolean(value)
}

/** The value as a float; undefined if it is no number. Booleans are numbers, as in Python. */
export function numberOf(value: PyValue | undefined): number | undefined {
  if (value instanceof JsonFloat) return value.value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return Number(value)
  return undefined
}

/** Snuba's `_unicodify`: arrays and objects as Python's JSON, null stays null, anything else as `str` prints it. */
export function pyText(value: PyValue | undefined): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  if (value instanceof Map || Array.isArray(value)) return pyJson(value)
  return pyScalar(value)
}

function pyScalar(value: boolean | number | bigint | JsonFloat): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return value instanceof JsonFloat ? pyFloat(value.value) : String(value)
}

function pyFloat(value: number): string {
  const size = Math.abs(value)
  if (size === 0 || (size >= plainMin && size < plainMax)) return floatText(value)
  const [digits = '', exponent = ''] = value.toExponential().split('e')
  const sign = exponent.startsWith('-') ? '-' : '+'
  return `${digits}e${sign}${exponent.slice(1).padStart(2, '0')}`
}

/** `json.dumps`: a space after commas and colons, everything beyond ASCII escaped. */
function pyJson(value: PyValue): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return asciiJson(value)
  if (Array.isArray(value)) return `[${value.map(pyJson).join(', ')}]`
  if (value instanceof Map)
    return `{${[...value].map(([key, field]) => `${asciiJson(key)}: ${pyJson(field)}`).join(', ')}}`
  return pyScalar(value)
}

function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Code points in order, which is Python's order of strings. */
export function comparePyText(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

export function requireDict(value: PyValue | undefined, path: string): PyDict {
  if (value instanceof Map) return value
  throw new InvalidMessage('Expected an object.', { path })
}
