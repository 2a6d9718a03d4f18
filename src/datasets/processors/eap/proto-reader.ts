/**
 * Protobuf's wire format, read by hand in the arena: what a field holds is a place in the message or two halves of 64
 * bits, never an object. As strict as Rust's prost: what it refuses is refused.
 */
import { isUtf8 } from 'node:buffer'
import { arenaBytes, bytesOf, loadMessage, messageStart } from '../../../std/arena.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'

const memory = arenaBytes()

export const wire = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const

/** What a string holds besides plain ASCII: characters that JSON escapes, characters beyond ASCII. */
export const textMarks = { escaped: 1, beyondAscii: 2 } as const

const marks = new Uint8Array(256)
marks.fill(textMarks.escaped, 0, 0x20)
marks.fill(textMarks.beyondAscii, 0x80)
marks[0x22] = textMarks.escaped
marks[0x5c] = textMarks.escaped

/** Prost follows messages inside messages so deep. */
const depthMax = 100

export class ProtoReader {
  at = 0
  end = 0
  /** The halves of the last varint. */
  low = 0
  high = 0
  /** Number and wire type of the last key. */
  field = 0
  wireType = 0

  /** Loads a message into the arena. */
  load(message: Buffer): void {
    this.end = loadMessage(message)
    this.at = messageStart
  }

  /** Reads a piece of the message that is loaded. */
  open(start: number, end: number): void {
    this.at = start
    this.end = end
  }

  /** Reads the key of the next field of the message that ends at `end`; `false` at its end. */
  next(end: number): boolean {
    if (this.at >= end) {
      if (this.at > end) invalid('A message inside it is longer than its length.')
      return false
    }
    const byte = memory[this.at] ?? 0
    if (byte < 0x80) {
      this.at++
      this.field = byte >> 3
      this.wireType = byte & 7
    } else {
      this.varint()
      if (this.high !== 0) invalid('The number of a field is too large.')
      this.field = this.low >>> 3
      this.wireType = this.low & 7
    }
    if (this.field === 0) invalid('A field has the number 0.')
    return true
  }

  /** Reads 64 bits into `low` and `high`. */
  varint(): void {
    const { end } = this
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= end) invalid('It ends in the middle of a number.')
      const byte = memory[this.at++] ?? 0
      const part = byte & 0x7f
      if (shift < 28) low |= part << shift
      else if (shift === 28) {
        low |= part << 28
        high |= part >>> 4
      } else high |= part << (shift - 32)
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) invalid('A number has more than 64 bits.')
        this.low = low
        this.high = high
        return
      }
    }
    invalid('A number has more than 64 bits.')
  }

  /** Reads a length and answers where what is so long ends; it begins at `at`. */
  lengthEnd(): number {
    this.expect(wire.bytes)
    const short = memory[this.at] ?? 0
    let length = short
    if (short < 0x80 && this.at < this.end) this.at++
    else {
      this.varint()
      length = this.high !== 0 ? Number.POSITIVE_INFINITY : this.low >>> 0
    }
    if (this.at + length > this.end) invalid('It ends in the middle of a field.')
    return this.at + length
  }

  expect(wireType: number): void {
    if (this.wireType !== wireType)
      invalid(`Field ${this.field} has the wire type ${this.wireType} instead of ${wireType}.`)
  }

  /** Passes over eight bytes and answers where they begin. */
  fixed64(): number {
    this.expect(wire.fixed64)
    const start = this.at
    this.#pass(8)
    return start
  }

  /** Passes over the value of a field that nobody asked for, in a message inside `depth` others. */
  skip(depth = 0): void {
    checkDepth(depth + 1)
    switch (this.wireType) {
      case wire.varint:
        this.varint()
        return
      case wire.fixed64:
        this.#pass(8)
        return
      case wire.bytes:
        this.at = this.lengthEnd()
        return
      case wire.groupStart:
        this.#skipGroup(this.field, depth + 1)
        return
      case wire.fixed32:
        this.#pass(4)
        return
      default:
        invalid(`Field ${this.field} has the wire type ${this.wireType}.`)
    }
  }

  #skipGroup(group: number, depth: number): void {
    while (this.next(this.end)) {
      if (this.wireType === wire.groupEnd) {
        if (this.field !== group) invalid('A group ends that did not begin.')
        return
      }
      this.skip(depth)
    }
    invalid('It ends in the middle of a group.')
  }

  #pass(count: number): void {
    this.at += count
    if (this.at > this.end) invalid('It ends in the middle of a field.')
  }
}

/** Checks that the bytes are UTF-8 and tells what they hold, as `textMarks`. */
export function markText(start: number, end: number): number {
  let found = 0
  for (let place = start; place < end; place++) found |= marks[memory[place] ?? 0] ?? 0
  if (found >= textMarks.beyondAscii && !isUtf8(bytesOf(start, end))) invalid('A string is not valid UTF-8.')
  return found
}

/** Refuses a message or a field inside `depth` others if that is too many. */
export function checkDepth(depth: number): void {
  if (depth > depthMax) invalid('It is nested too deep.')
}

export function invalid(what: string): never {
  throw new InvalidMessage(`The message is not a valid TraceItem. ${what}`)
}

/** The number that two halves make as a signed integer of 64 bits, as the nearest double. */
export function signedOf(low: number, high: number): number {
  return (high | 0) * 0x1_0000_0000 + (low >>> 0)
}

/** Decimal text of a signed integer of 64 bits. */
export function signedText(low: number, high: number): string {
  const value = signedOf(low, high)
  if (Number.isSafeInteger(value)) return String(value)
  return BigInt.asIntN(64, joined(low, high)).toString()
}

/** Decimal text of an unsigned integer of 64 bits. */
export function unsignedText(low: number, high: number): string {
  return high >>> 0 < 0x20_0000 ? String(signedOf(low, high)) : joined(low, high).toString()
}

function joined(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}
