/** Values of one type out of a message, as serde reads them: an integer is no float, and a float no integer. */

import { parseUuid } from '../../../std/uuid.ts'
import { type JsonScanner, unescapeInside } from './json-scanner.ts'

const minus = 0x2d
const unsigned64Max = '18446744073709551615'

/** An integer of 64 bits without a sign: its digits are the token read last. */
export function readUnsigned64(scanner: JsonScanner): void {
  readDigits(scanner)
  const length = scanner.end - scanner.start
  if (length < unsigned64Max.length) return
  if (length > unsigned64Max.length || scanner.token() > unsigned64Max)
    scanner.fail('Expected an integer of 64 bits.')
}

/** An integer from 0 to `max`. */
export function readUnsigned(scanner: JsonScanner, max: number): number {
  readDigits(scanner)
  const value = smallInteger(scanner)
  if (value > max) scanner.fail(`Expected an integer up to ${max}.`)
  return value
}

/** The integer read last, which has no sign; one of more than 15 digits may be off, but stays large. */
export function smallInteger({ bytes, start, end }: JsonScanner): number {
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + ((bytes[at] ?? 0) - 0x30)
  return value
}

export function readFloat(scanner: JsonScanner): number {
  if (scanner.kind() !== 'number') scanner.fail('Expected a number.')
  scanner.number()
  return Number(scanner.token())
}

/** A string's characters, as bytes. */
export function readString(scanner: JsonScanner): string {
  scanner.string()
  return scanner.text()
}

/**
 * A UUID in one of the forms of `parseUuid`: the place of its first digit in the message. The digits are
 * there with hyphens or without.
 */
export function readUuid(scanner: JsonScanner): number {
  scanner.string()
  const place = uuidPlace(scanner)
  return place === undefined ? scanner.fail('Expected a UUID.') : place
}

/** Where the digits of a UUID begin in the string read last; undefined if it is none. */
export function uuidPlace(scanner: JsonScanner): number | undefined {
  const { bytes, start, end } = scanner
  if (scanner.isEscaped) {
    const uuid = parseUuid(scanner.text())
    return uuid === undefined ? undefined : scanner.keep(uuid)
  }
  const length = end - start
  if (length === 32) return areDigits(bytes, start, 32) ? start : undefined
  if (length === 36) return isHyphenated(bytes, start) ? start : undefined
  if (length !== 38 && length !== 45) return undefined
  const place = start + (length === 38 ? 1 : 9)
  return parseUuid(scanner.token()) !== undefined && isHyphenated(bytes, place) ? place : undefined
}

function isHyphenated(bytes: Buffer, start: number): boolean {
  for (const at of [8, 13, 18, 23]) if (bytes[start + at] !== 0x2d) return false
  if (!areDigits(bytes, start, 8) || !areDigits(bytes, start + 9, 4)) return false
  return (
    areDigits(bytes, start + 14, 4) && areDigits(bytes, start + 19, 4) && areDigits(bytes, start + 24, 12)
  )
}

function areDigits(bytes: Buffer, start: number, count: number): boolean {
  for (let at = start; at < start + count; at++) {
    const byte = bytes[at] ?? 0
    const lower = byte | 0x20
    if ((byte < 0x30 || byte > 0x39) && (lower < 0x61 || lower > 0x66)) return false
  }
  return true
}

/** The inside of a text in JSON, as bytes, without escapes. */
export function charactersOf(jsonText: string): string {
  return unescapeInside(jsonText.slice(1, -1))
}

function readDigits(scanner: JsonScanner): void {
  if (scanner.kind() !== 'number') scanner.fail('Expected an integer.')
  scanner.number()
  if (scanner.isFloat || scanner.bytes[scanner.start] === minus) scanner.fail('Expected an integer from 0.')
}
