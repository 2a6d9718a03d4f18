/** What Python makes of values of a message, for the plain processors of what Snuba has only in Python. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import { JsonFloat, type LosslessValue } from '../../../src/std/lossless-json.ts'
import { Fields, Float, float, type Json, type Read, string } from './strict-json.ts'

/** What counts as true. */
export function isTrue(value: Json | undefined): value is Json {
  if (value === undefined || value === null || value === false || value === '' || value === 0n) return false
  if (value instanceof Float) return value.value !== 0
  return Array.isArray(value) ? value.length > 0 : !(value instanceof Fields && value.list.length === 0)
}

/** A dictionary: of a name twice the last counts, at the place of the first. */
export type Dictionary = Map<string, Json>

export const dictionary: Read<Dictionary> = (value, path) => {
  if (!(value instanceof Fields)) throw new InvalidMessage('Expected an object.', { path })
  return new Map(value.list.map((field) => [field.name, field.value]))
}

/** `x.get(name) or {}`. */
export function dictionaryOr(from: Dictionary, name: string): Dictionary {
  const value = from.get(name)
  return isTrue(value) ? dictionary(value, name) : new Map()
}

export function required(from: Dictionary, name: string): Json {
  const value = from.get(name)
  if (value === undefined) throw new InvalidMessage('The field is required.', { path: name })
  return value
}

/** Days of a retention: what is no integer asks for none, and true and false are integers. */
export function daysOf(value: Json | undefined): number | undefined {
  return typeof value === 'bigint' || typeof value === 'boolean' ? Number(value) : undefined
}

/** A value as it is in the message. */
export function rawOf(value: Json | undefined): LosslessValue {
  if (value === undefined) return null
  if (value instanceof Float) return new JsonFloat(value.value)
  if (Array.isArray(value)) return value.map(rawOf)
  if (!(value instanceof Fields)) return value
  return Object.fromEntries([...dictionary(value, '')].map(([name, one]) => [name, rawOf(one)]))
}

/** `_unicodify`: what `str` prints, JSON of lists and objects, null of null. */
export function textOf(value: Json | undefined): string | null {
  if (value === undefined || value === null) return null
  return Array.isArray(value) || value instanceof Fields ? dumps(value) : str(value)
}

function str(value: string | boolean | bigint | Float): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return value instanceof Float ? repr(value.value) : String(value)
}

/** A float as Python prints it. */
function repr(value: number): string {
  if (Object.is(value, -0)) return '-0.0'
  const [digits = '', exponent = ''] = value.toExponential().split('e')
  const power = Number(exponent)
  if (value === 0 || (power >= -4 && power < 16)) {
    const text = Math.abs(power) < 16 && power < 0 ? value.toFixed(decimals(digits) - power) : String(value)
    return text.includes('.') ? text : `${text}.0`
  }
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}

function decimals(digits: string): number {
  return digits.split('.')[1]?.length ?? 0
}

/** `json.dumps`: with spaces, in the order of the message, and nothing but ASCII. */
function dumps(value: Json): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string')
    return JSON.stringify(value).replace(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  if (Array.isArray(value)) return `[${value.map(dumps).join(', ')}]`
  if (!(value instanceof Fields)) return str(value)
  return `{${[...dictionary(value, '')].map(([name, one]) => `${dumps(name)}: ${dumps(one)}`).join(', ')}}`
}

/** `str(uuid.UUID(text))`: 32 digits, hyphens and braces wherever they stand. */
export const pythonUuid: Read<string> = (value, path) => {
  const digits = string(value, path)
    .replaceAll('urn:', '')
    .replaceAll('uuid:', '')
    .replace(/^[{}]+|[{}]+$/g, '')
    .replaceAll('-', '')
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) throw new InvalidMessage('Expected a UUID.', { path })
  return digits.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** `int(text, 16)` of 64 bits. */
export const hexadecimal: Read<bigint> = (value, path) => {
  const digits = string(value, path)
    .trim()
    .replace(/^\+/, '')
    .replace(/^0[xX]/, '')
  const number = /^[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*$/.test(digits)
    ? BigInt(`0x${digits.replaceAll('_', '')}`)
    : -1n
  if (number < 0n || number >= 1n << 64n) throw new InvalidMessage('Expected a hexadecimal number.', { path })
  return number
}

const yearOneMicros = -62_135_596_800_000_000n
const yearEndMicros = 253_402_300_800_000_000n

/** `datetime.utcfromtimestamp`: microseconds since 1970, rounded half to even. */
export const micros: Read<bigint> = (value, path) => {
  const seconds = typeof value === 'boolean' ? Number(value) : float(value, path)
  const whole = Math.trunc(seconds)
  const all = BigInt(whole) * 1_000_000n + BigInt(roundHalfEven((seconds - whole) * 1e6))
  if (all < yearOneMicros || all >= yearEndMicros) throw new InvalidMessage('The time is too far.', { path })
  return all
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
}

/** `_ensure_valid_date`: a time that 32 bits of seconds do not hold is none. */
export function inRange(time: bigint): bigint | undefined {
  const seconds = time / 1_000_000n
  return seconds < 0n || seconds > 0xffff_ffffn ? undefined : time
}

/** `2026-01-01 00:00:00`. */
export function timeText(time: bigint): string {
  const floored = time - (((time % 1_000_000n) + 1_000_000n) % 1_000_000n)
  return new Date(Number(floored / 1000n)).toISOString().slice(0, 19).replace('T', ' ')
}

/** Lists of pairs as a dictionary: holes and null keys are passed over. */
export function pairsAsDictionary(value: Json | undefined, path: string): Map<Json, Json> {
  if (value === undefined || value === null) return new Map()
  if (value instanceof Fields) return new Map(dictionary(value, path))
  if (!Array.isArray(value)) throw new InvalidMessage('Expected pairs.', { path })
  const pairs = new Map<Json, Json>()
  for (const item of value) {
    if (item === null) continue
    const [key, one] = Array.isArray(item) ? item : []
    if (key === null) continue
    if (key === undefined || one === undefined || key instanceof Fields || Array.isArray(key))
      throw new InvalidMessage('Expected a pair.', { path })
    pairs.set(key, one)
  }
  return pairs
}

/** Keys must be of one kind to be sorted. */
export function sortedPairs(pairs: ReadonlyMap<Json, Json>, path: string): [string, Json][] {
  const all = [...pairs]
  if (all.some(([key]) => typeof key !== 'string')) throw new InvalidMessage('Expected texts.', { path })
  return all
    .map(([key, value]): [string, Json] => [String(key), value])
    .sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
}

/** `extract_extra_tags`: without empty values. */
export function extraTags(tags: ReadonlyMap<Json, Json>): { key: string[]; value: string[] } {
  const kept = sortedPairs(tags, 'tags').flatMap(([key, value]): [string, string][] => {
    const text = textOf(value)
    return text === null || text === '' ? [] : [[key, text]]
  })
  return { key: kept.map(([key]) => key), value: kept.map(([, value]) => value) }
}

/** `extract_extra_contexts`: the scalars of contexts that are objects, in the order of the message. */
export function extraContexts(contexts: ReadonlyMap<string, Json | Dictionary>): {
  key: string[]
  value: string[]
} {
  const kept = [...contexts].flatMap(([name, context]) => {
    const fields =
      context instanceof Map ? context : context instanceof Fields ? dictionary(context, name) : []
    return [...fields].flatMap(([key, value]): [string, string][] => {
      const isScalar = value !== null && !Array.isArray(value) && !(value instanceof Fields)
      const text = isScalar ? textOf(value) : null
      return key === 'type' || text === null || text === '' ? [] : [[`${name}.${key}`, text]]
    })
  })
  return { key: kept.map(([key]) => key), value: kept.map(([, value]) => value) }
}
