/**
 * One piece of memory in which a message is read and a row is written: constants first, then the message,
 * then the row. There is one for a thread, and it never moves: V8 compiles reading and writing a memory that
 * is a constant to single instructions, five times as fast as a `Buffer` that comes in as a parameter.
 * Hence also the form: modules that work in it hold it as `const memory = arenaBytes()`, and places are
 * numbers. Whoever works in it is synchronous and done before the next message is loaded.
 *
 * The system gives pages only where something is written, so its size is a limit and not a use of memory.
 */
const constantsEnd = 64 * 1024
const messageMax = 16 * 1024 * 1024
/** A byte of zero follows the message: no scanner runs past its end. */
const rowStart = constantsEnd + messageMax + 1
const memory = new Uint8Array(4 * messageMax)
const buffer = Buffer.from(memory.buffer)
const view = new DataView(memory.buffer)
/** Longer pieces are moved natively; shorter ones are copied faster than that takes to begin. */
const loopMax = 160
/** Copies go eight bytes at a time, and so may write up to seven bytes of no meaning behind what is copied. */
const slack = 16
const digitsBelow = 100_000_000

/** Short rows by their lengths: they are all at one place, and to make a Buffer takes longer than to copy it. */
const rowsKnown: (Buffer | undefined)[] = Array.from({ length: 2048 }, () => undefined)

let constantsAt = 0
let messageEnd = constantsEnd
let at = rowStart

/** A piece of the memory. */
export type Piece = { readonly start: number; readonly end: number }

export function arenaBytes(): Uint8Array {
  return memory
}

/** The same memory, for four bytes at a time. */
export function arenaView(): DataView {
  return view
}

/** Bytes that stay, for copies into rows. Made once, when a module is loaded. */
export function constantPiece(text: string): Piece {
  const bytes = Buffer.from(text)
  const start = constantsAt
  if (start + bytes.length > constantsEnd) throw new RangeError('There is no room for more constants.')
  memory.set(bytes, start)
  constantsAt += bytes.length
  return { start, end: constantsAt }
}

/** Where a loaded message begins. */
export const messageStart = constantsEnd

/** Loads a message and begins a row. Returns where the message ends; throws a `RangeError` if it is too large. */
export function loadMessage(bytes: Uint8Array): number {
  if (bytes.length > messageMax)
    throw new RangeError(`The message has ${bytes.length} bytes; at most ${messageMax} can be read.`)
  memory.set(bytes, messageStart)
  messageEnd = messageStart + bytes.length
  memory[messageEnd] = 0
  at = rowStart
  return messageEnd
}

/** Text of a piece that is known to be UTF-8, or ASCII, which is read faster. */
export function textOf(start: number, end: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  return buffer.toString(encoding, start, end)
}

/** A piece as bytes, valid until the memory changes. */
export function bytesOf(start: number, end: number): Buffer {
  return buffer.subarray(start, end)
}

/** Where the row ends so far. */
export function rowEnd(): number {
  return at
}

/** Takes back what was written from `place` on. */
export function cutRow(place: number): void {
  at = place
}

export function beginRow(): void {
  at = rowStart
}

/** What has been written from `start` on, by default from where rows begin; valid until something else is written. */
export function writtenRow(start = rowStart): Buffer {
  const length = at - start
  if (start !== rowStart || length >= rowsKnown.length) return buffer.subarray(start, at)
  let row = rowsKnown[length]
  if (row === undefined) {
    row = buffer.subarray(start, at)
    rowsKnown[length] = row
  }
  return row
}

/** Makes sure that `more` bytes can be written: a write outside of the memory would be lost without a word. */
export function reserve(more: number): void {
  if (at + more + slack > memory.length) throw new RangeError('The row of the message is too large.')
}

export function putByte(byte: number): void {
  memory[at++] = byte
}

export function put(piece: Piece): void {
  putCopy(piece.start, piece.end)
}

/** Copies a piece of the memory, which ends before the row does. */
export function putCopy(start: number, end: number): void {
  const place = at
  at = place + (end - start)
  if (end - start > loopMax) {
    memory.copyWithin(place, start, end)
    return
  }
  const distance = place - start
  for (let from = start; from < end; from += 8)
    view.setBigInt64(from + distance, view.getBigInt64(from, true), true)
}

/** Writes text of ASCII characters. */
export function putAscii(text: string): void {
  let place = at
  for (let index = 0; index < text.length; index++) memory[place++] = text.charCodeAt(index)
  at = place
}

/** Writes any text, after making room for it. */
export function putText(text: string): void {
  const bytes = Buffer.from(text)
  reserve(bytes.length)
  memory.set(bytes, at)
  at += bytes.length
}

/** Writes the digits of an integer from 0 to 2^53 - 1. */
export function putUnsigned(value: number): void {
  if (value < digitsBelow) putDigits(value, digitCount(value))
  else {
    const high = Math.floor(value / digitsBelow)
    if (high < digitsBelow) putDigits(high, digitCount(high))
    else putAscii(String(high))
    putDigits(value - high * digitsBelow, 8)
  }
}

/** Writes unsigned LEB128, the form of lengths in RowBinary. */
export function putVarint(value: number): void {
  let rest = value
  while (rest >= 0x80) {
    putByte((rest & 0x7f) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  putByte(rest)
}

/** Writes 32 bits, lowest byte first. */
export function putU32(value: number): void {
  const place = at
  memory[place] = value
  memory[place + 1] = value >> 8
  memory[place + 2] = value >> 16
  memory[place + 3] = value >> 24
  at = place + 4
}

/** Writes eight bytes of an integer that a double holds exactly; negative ones in two's complement. */
export function putI64(value: number): void {
  putU32(value | 0)
  putU32(Math.floor(value / 0x1_0000_0000))
}

/** Writes eight bytes of a float. */
export function putDouble(value: number): void {
  buffer.writeDoubleLE(value, at)
  at += 8
}

/** The float whose eight bytes are at `place`. */
export function doubleAt(place: number): number {
  return buffer.readDoubleLE(place)
}

/** The unsigned integer whose eight bytes are at `place`. */
export function u64At(place: number): bigint {
  return buffer.readBigUInt64LE(place)
}

function putDigits(value: number, count: number): void {
  let rest = value | 0
  for (let place = at + count - 1; place >= at; place--) {
    const tenth = (rest / 10) | 0
    memory[place] = 0x30 + rest - tenth * 10
    rest = tenth
  }
  at += count
}

/** Of an integer below 10^8. */
function digitCount(value: number): number {
  if (value < 10_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4
  return value < 1_000_000 ? (value < 100_000 ? 5 : 6) : value < 10_000_000 ? 7 : 8
}
