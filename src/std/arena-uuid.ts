/** UUIDs in the arena: recognised and copied four digits at a time. */
import { arenaBytes, arenaView, cutRow, putAscii, putByte, rowEnd, textOf } from './arena.ts'
import { readText } from './arena-json.ts'
import { parseUuid } from './uuid.ts'

const memory = arenaBytes()
const view = arenaView()
const quote = 0x22
const hyphen = 0x2d
/** Upper case letters lie 32 below lower case ones; digits and hyphens have that bit already. */
const lowerCase = 0x20202020

/** Whether the piece is hexadecimal digits; its length is a multiple of four. */
export function isHex(start: number, end: number): boolean {
  for (let place = start; place < end; place += 4) {
    const four = view.getInt32(place, true)
    if (!areHex(four, four | lowerCase)) return false
  }
  return true
}

/** The same, for digits in lower case. */
export function isLowerHex(start: number, end: number): boolean {
  for (let place = start; place < end; place += 4) {
    const four = view.getInt32(place, true)
    if (!areHex(four, four)) return false
  }
  return true
}

/** The highest bit of each byte tells whether it lies between the limits; bytes beyond ASCII are none of them. */
function areHex(digits: number, letters: number): boolean {
  const isDigit = (digits + 0x50505050) & ~(digits + 0x46464646)
  const isLetter = (letters + 0x1f1f1f1f) & ~(letters + 0x19191919)
  return (digits & 0x80808080) === 0 && ((isDigit | isLetter) & 0x80808080) === (0x80808080 | 0)
}

/**
 * Where the 32 digits, with hyphens or without, begin in a text without escapes, which may have the forms of
 * `parseUuid`; 0 if it is no UUID.
 */
export function uuidPlace(start: number, end: number): number {
  const length = end - start
  if (length === 32) return isHex(start, end) ? start : 0
  if (length === 36) return isHyphenated(start) ? start : 0
  if (length === 38 && memory[start] === 0x7b && memory[end - 1] === 0x7d)
    return isHyphenated(start + 1) ? start + 1 : 0
  if (length === 45 && textOf(start, start + 9, 'latin1') === 'urn:uuid:')
    return isHyphenated(start + 9) ? start + 9 : 0
  return 0
}

function isHyphenated(start: number): boolean {
  if (memory[start + 8] !== hyphen || memory[start + 13] !== hyphen) return false
  if (memory[start + 18] !== hyphen || memory[start + 23] !== hyphen) return false
  if (!isHex(start, start + 8) || !isHex(start + 9, start + 13) || !isHex(start + 14, start + 18))
    return false
  return isHex(start + 19, start + 23) && isHex(start + 24, start + 36)
}

/** Puts a UUID in its usual form, out of the 32 digits, with or without hyphens, at a place. */
export function putUuid(place: number): void {
  const at = rowEnd()
  if (memory[place + 8] === hyphen) for (let byte = 0; byte < 36; byte += 4) putLower(at + byte, place + byte)
  else {
    putLower(at, place)
    putLower(at + 4, place + 4)
    putLower(at + 9, place + 8)
    putLower(at + 14, place + 12)
    putLower(at + 19, place + 16)
    putLower(at + 24, place + 20)
    putLower(at + 28, place + 24)
    putLower(at + 32, place + 28)
    memory[at + 8] = hyphen
    memory[at + 13] = hyphen
    memory[at + 18] = hyphen
    memory[at + 23] = hyphen
  }
  cutRow(at + 36)
}

/** The same without hyphens. */
export function putUuidDigits(place: number): void {
  const at = rowEnd()
  const gap = memory[place + 8] === hyphen ? 1 : 0
  putLower(at, place)
  putLower(at + 4, place + 4)
  putLower(at + 8, place + 8 + gap)
  putLower(at + 12, place + 12 + 2 * gap)
  putLower(at + 16, place + 16 + 3 * gap)
  putLower(at + 20, place + 20 + 4 * gap)
  putLower(at + 24, place + 24 + 4 * gap)
  putLower(at + 28, place + 28 + 4 * gap)
  cutRow(at + 32)
}

/** Puts the UUID of the JSON string from `start` to `end`, quotes included; `false` if it is none. */
export function putUuidOf(start: number, end: number): boolean {
  if (memory[start] !== quote) return false
  const place = uuidPlace(start + 1, end - 1)
  if (place !== 0) {
    putByte(quote)
    putUuid(place)
  } else {
    // It may be written with escapes.
    const uuid = parseUuid(readText(start, end))
    if (uuid === undefined) return false
    putByte(quote)
    putAscii(uuid)
  }
  putByte(quote)
  return true
}

function putLower(to: number, from: number): void {
  view.setInt32(to, view.getInt32(from, true) | lowerCase, true)
}
