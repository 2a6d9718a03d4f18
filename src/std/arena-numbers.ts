/**
 * Reads numbers out of JSON in the arena: pieces that are known to be a value, as `findFields` gives them.
 * Each function answers `undefined` for a piece that is not of its kind.
 */
import { arenaBytes, constantPiece, type Piece, textOf } from './arena.ts'

const memory = arenaBytes()
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
  let place = memory[start] === 0x2d ? start + 1 : start
  let digits = 0
  let fraction = 0
  for (; place < end; place++) {
    const byte = memory[place] ?? 0
    if (byte >= 0x30 && byte <= 0x39) digits = digits * 10 + (byte - 0x30)
    else if (byte === 0x2e && fraction === 0) fraction = place + 1
    else return readFloatText(start, end)
  }
  // Both the digits and the power of ten are exact, so one division rounds only once.
  const places = fraction === 0 ? 0 : end - fraction
  if (digits > Number.MAX_SAFE_INTEGER || places >= powers.length) return readFloatText(start, end)
  const size = digits / (powers[places] ?? 1)
  return memory[start] === 0x2d ? -size : size
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
