/**
 * Reads numbers out of JSON in the arena: pieces that are known to be a value, as `findFields` gives them.
 * Each function answers `undefined` for a piece that is not of its kind.
 */
import { arenaBytes, arenaView, constantPiece, type Piece, textOf } from './arena.ts'

const memory = arenaBytes()
const view = arenaView()
const u64Max = constantPiece('18446744073709551615')
const i64Max = constantPiece('9223372036854775807')
const i64Min = constantPiece('9223372036854775808')
const powers = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

/** Whether the piece is an integer from 0 to 2^64 - 1. */
export function isU64(start: number, end: number): boolean {
  const length = end - start
  if (length > 20 || !hasOnlyDigits(start, end)) return false
  return length < 20 || isUpTo(start, u64Max)
}

/** Whether the piece is an integer from -2^63 to 2^63 - 1. `-0` is a float. */
export function isI64(start: number, end: number): boolean {
  const isNegative = memory[start] === 0x2d
  const first = isNegative ? start + 1 : start
  const length = end - first
  if (length > 19 || !hasOnlyDigits(first, end)) return false
  if (isNegative && memory[first] === 0x30) return false
  return length < 19 || isUpTo(first, isNegative ? i64Min : i64Max)
}

/** An integer from 0 to `max`, which is below 2^53. */
export function readUnsigned(start: number, end: number, max: number): number | undefined {
  if (end - start > 15) return undefined
  let value = 0
  for (let place = start; place < end; place++) {
    const digit = (memory[place] ?? 0) - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return value <= max && end > start ? value : undefined
}

/** Any number that a double can hold. */
export function readFloat(start: number, end: number): number | undefined {
  const isNegative = memory[start] === 0x2d
  let place = isNegative ? start + 1 : start
  let fraction = 0
  let digits = 0
  let count = 0
  while (place < end) {
    const four = place + 4 <= end ? fourDigits(place) : -1
    const digit = (memory[place] ?? 0) - 0x30
    if (four >= 0) {
      digits = digits * 10_000 + four
      count += 4
      place += 4
    } else if (digit >= 0 && digit <= 9) {
      digits = digits * 10 + digit
      count++
      place++
    } else if (digit === -2 && fraction === 0) fraction = ++place
    else return readFloatText(start, end)
  }
  if (count > 16) return readFloatText(start, end)
  // Both the digits and the power of ten are exact, so one division rounds only once.
  const places = fraction === 0 ? 0 : end - fraction
  if (digits > Number.MAX_SAFE_INTEGER) return readFloatText(start, end)
  const size = places === 0 ? digits : digits / (powers[places] ?? 1)
  return isNegative ? -size : size
}

/** Four digits as a number, or -1 if they are none. */
function fourDigits(place: number): number {
  const four = view.getInt32(place, true) ^ 0x30303030
  // What is no digit is more than 9 now, which sets the highest bit of its byte here or has it already.
  if ((((four + 0x76767676) | four) & 0x80808080) !== 0) return -1
  const pairs = Math.imul(four, 10) + (four >>> 8)
  return (pairs & 0x7f) * 100 + ((pairs >>> 16) & 0x7f)
}

function readFloatText(start: number, end: number): number | undefined {
  const first = memory[start] ?? 0
  if (first !== 0x2d && (first < 0x30 || first > 0x39)) return undefined
  const value = Number(textOf(start, end, 'latin1'))
  return Number.isFinite(value) ? value : undefined
}

/** Whether the digits at `start`, as many as those of `max`, are no greater number. */
function isUpTo(start: number, max: Piece): boolean {
  for (let place = max.start; place < max.end; place++) {
    const order = (memory[start + place - max.start] ?? 0) - (memory[place] ?? 0)
    if (order !== 0) return order < 0
  }
  return true
}

function hasOnlyDigits(start: number, end: number): boolean {
  for (let place = start; place < end; place++) {
    const byte = memory[place] ?? 0
    if (byte < 0x30 || byte > 0x39) return false
  }
  return end > start
}
