/** Values of one type out of a message, as serde reads them: an integer is no float, and a float no integer. */
import { arenaBytes } from '../../../std/arena.ts'
import { readFloat as readFloatAt } from '../../../std/arena-numbers.ts'
import { uuidPlace as uuidPlaceIn } from '../../../std/arena-uuid.ts'
import { parseUuid } from '../../../std/uuid.ts'
import { type JsonScanner, unescapeInside } from './json-scanner.ts'

const memory = arenaBytes()
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
export function smallInteger({ start, end }: JsonScanner): number {
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + ((memory[at] ?? 0) - 0x30)
  return value
}

export function readFloat(scanner: JsonScanner): number {
  if (scanner.kind() !== 'number') scanner.fail('Expected a number.')
  scanner.number()
  return readFloatAt(scanner.start, scanner.end) ?? scanner.fail('Expected a number.')
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
  if (scanner.isEscaped) {
    const uuid = parseUuid(scanner.text())
    return uuid === undefined ? undefined : scanner.keep(uuid)
  }
  const place = uuidPlaceIn(scanner.start, scanner.end)
  return place === 0 ? undefined : place
}

/** The inside of a text in JSON, as bytes, without escapes. */
export function charactersOf(jsonText: string): string {
  return unescapeInside(jsonText.slice(1, -1))
}

function readDigits(scanner: JsonScanner): void {
  if (scanner.kind() !== 'number') scanner.fail('Expected an integer.')
  scanner.number()
  if (scanner.isFloat || memory[scanner.start] === minus) scanner.fail('Expected an integer from 0.')
}
