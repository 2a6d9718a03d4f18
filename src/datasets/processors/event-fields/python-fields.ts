/** Parts that transactions and issues have in common, as Snuba's Python processors make columns of them. */

import { JsonFloat, type LosslessValue } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { Row } from '../../processor/processor.ts'
import { parseIpAddress } from './ip-address.ts'
import {
  comparePyText,
  isTruthy,
  numberOf,
  type PyDict,
  type PyValue,
  pyText,
  requireDict,
} from './python-value.ts'

const unsigned64Max = 2n ** 64n - 1n
const hexadecimal = /^\s*\+?(?:0[xX]_?)?([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)\s*$/

/**
 * A list of pairs, or an object, as an object; pairs without a key are left out, of one key the last counts.
 * Keys that are no text are refused, or left out where no column takes them.
 */
export function asDict(
  value: PyValue | undefined,
  path: string,
  otherKeys: 'refuse' | 'leave out' = 'refuse',
): PyDict {
  if (value === null || value === undefined) return new Map()
  if (value instanceof Map) return value
  if (!Array.isArray(value)) throw new InvalidMessage('Expected pairs of a key and a value.', { path })
  const dict: PyDict = new Map()
  for (const [index, item] of value.entries()) {
    if (item === null) continue
    const [key, field] = Array.isArray(item) ? item : []
    if (key === null) continue
    const isKey = typeof key === 'string' || (otherKeys === 'leave out' && isHashable(key))
    if (!isKey || field === undefined)
      throw new InvalidMessage('Expected a key and a value.', { path: `${path}[${index}]` })
    if (typeof key === 'string') dict.set(key, field)
  }
  return dict
}

function isHashable(value: PyValue | undefined): boolean {
  return value !== undefined && !Array.isArray(value) && !(value instanceof Map)
}

/** Days that the message asks for, if it asks for an integer of them: to Python a boolean is one. */
export function retentionOf(event: PyDict): number | undefined {
  const asked = event.get('retention_days')
  return asked instanceof JsonFloat ? undefined : numberOf(asked)
}

export type KeysAndValues<Value> = { keys: string[]; values: Value[] }

/** Fields sorted by their keys, without those whose value becomes undefined. */
export function sortedFields<Value>(
  dict: PyDict,
  convert: (value: PyValue) => Value | undefined,
): KeysAndValues<Value> {
  const keys: string[] = []
  const values: Value[] = []
  for (const [key, field] of [...dict].sort(([left], [right]) => comparePyText(left, right))) {
    const value = convert(field)
    if (value === undefined) continue
    keys.push(key)
    values.push(value)
  }
  return { keys, values }
}

/** Tags as texts, without empty ones. */
export function tagColumns(tags: PyDict): KeysAndValues<string> {
  return sortedFields(tags, (value) => pyText(value) || undefined)
}

/** Fields of contexts that are texts, numbers or booleans, in the order of the message, without `type`. */
export function contextColumns(contexts: PyDict): KeysAndValues<string> {
  const keys: string[] = []
  const values: string[] = []
  for (const [name, context] of contexts) {
    if (!(context instanceof Map)) continue
    for (const [key, field] of context) {
      if (key === 'type' || field === null || (typeof field === 'object' && !(field instanceof JsonFloat)))
        continue
      const value = pyText(field)
      if (value === null || value === '') continue
      keys.push(`${name}.${key}`)
      values.push(value)
    }
  }
  return { keys, values }
}

export function userColumns(user: PyDict): Row {
  const address = parseIpAddress(pyText(user.get('ip_address')) ?? '')
  return {
    user_name: pyText(user.get('username')),
    user_id: pyText(user.get('id')),
    user_email: pyText(user.get('email')),
    ip_address_v4: address?.version === 4 ? address.text : undefined,
    ip_address_v6: address?.version === 6 ? address.text : undefined,
  }
}

export function requestColumns(value: PyValue | undefined, path: string): Row {
  const request = isTruthy(value) ? requireDict(value, path) : new Map<string, PyValue>()
  const headers = asDict(request.get('headers'), `${path}.headers`, 'leave out')
  return { http_method: pyText(request.get('method')), http_referer: pyText(headers.get('Referer')) }
}

/** A UUID as Python's `uuid.UUID` reads it: hyphens may stand anywhere. Undefined if it is none. */
export function pyUuid(text: string): string | undefined {
  const digits = text
    .replaceAll('urn:', '')
    .replaceAll('uuid:', '')
    .replace(/^[{}]+|[{}]+$/g, '')
    .replaceAll('-', '')
    .toLowerCase()
  if (!/^[0-9a-f]{32}$/.test(digits)) return undefined
  const parts = [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20)]
  return [...parts, digits.slice(20)].join('-')
}

export function requireUuid(value: PyValue | undefined, path: string): string {
  const uuid = typeof value === 'string' ? pyUuid(value) : undefined
  if (uuid === undefined) throw new InvalidMessage('Expected a UUID.', { path })
  return uuid
}

/** An integer of 64 bits in hexadecimal, as Python's `int` reads it. */
export function requireHex64(value: PyValue | undefined, path: string): bigint {
  const digits = typeof value === 'string' ? hexadecimal.exec(value)?.[1] : undefined
  const integer = digits === undefined ? -1n : BigInt(`0x${digits.replaceAll('_', '')}`)
  if (integer < 0n || integer > unsigned64Max)
    throw new InvalidMessage('Expected up to 16 hexadecimal digits.', { path })
  return integer
}

/** An integer that a column without a sign and of so many bits can hold. */
export function requireUnsigned(
  value: PyValue | undefined,
  path: string,
  bits: 16 | 64 = 64,
): number | bigint {
  const isInteger = typeof value === 'number' || typeof value === 'bigint'
  if (!isInteger || value < 0 || value > 2n ** BigInt(bits) - 1n)
    throw new InvalidMessage(`Expected an integer without a sign of ${bits} bits.`, { path })
  return value
}

/** Any value as a column's value, objects with their keys in order. */
export function plainValue(value: PyValue | undefined): LosslessValue {
  if (value === undefined) return null
  if (Array.isArray(value)) return value.map(plainValue)
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, field]) => [key, plainValue(field)]))
  return value
}
