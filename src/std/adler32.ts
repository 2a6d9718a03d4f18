/** Adler-32 of RFC 1950, over pieces of the arena and integers, one after another. */
import { arenaBytes } from './arena.ts'

const memory = arenaBytes()
const modulus = 65521
/** So many bytes can be added before the sums must be reduced to stay exact. */
const runMax = 3800

/** So many digits can be added to 32 bits at once and stay exact in a double. */
const digitsTogether = 6

export class Adler32 {
  #a = 1
  #b = 0

  reset(): void {
    this.#a = 1
    this.#b = 0
  }

  piece(start: number, end: number): void {
    let a = this.#a
    let b = this.#b
    for (let from = start; from < end; from += runMax) {
      const until = Math.min(end, from + runMax)
      for (let place = from; place < until; place++) {
        a += memory[place] ?? 0
        b += a
      }
      a %= modulus
      b %= modulus
    }
    this.#a = a
    this.#b = b
  }

  /** Bytes of a text as UTF-8. */
  text(text: string): void {
    for (const byte of Buffer.from(text)) this.#add(byte)
  }

  /** The eight bytes, lowest first, of an unsigned integer whose digits are a piece of the arena. */
  digits(start: number, end: number): void {
    let low = 0
    let high = 0
    for (let from = start; from < end; from += digitsTogether) {
      let part = 0
      let power = 1
      const until = Math.min(end, from + digitsTogether)
      for (let place = from; place < until; place++) {
        part = part * 10 + (memory[place] ?? 0) - 0x30
        power *= 10
      }
      low = low * power + part
      const carry = Math.floor(low / 0x1_0000_0000)
      low -= carry * 0x1_0000_0000
      high = high * power + carry
    }
    this.#u32(low)
    this.#u32(high)
  }

  /** An unsigned 32-bit integer. */
  sum(): number {
    return this.#b * 0x1_0000 + this.#a
  }

  /** Four bytes: too few for the sums to become inexact before they are reduced. */
  #u32(value: number): void {
    let a = this.#a
    let b = this.#b
    let rest = value >>> 0
    for (let index = 0; index < 4; index++) {
      a += rest & 0xff
      b += a
      rest >>>= 8
    }
    this.#a = a % modulus
    this.#b = b % modulus
  }

  #add(byte: number): void {
    this.#a = (this.#a + byte) % modulus
    this.#b = (this.#b + this.#a) % modulus
  }
}
