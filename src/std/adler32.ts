/** Adler-32 of RFC 1950, over pieces of the arena and integers, one after another. */
import { arenaBytes } from './arena.ts'

const memory = arenaBytes()
const modulus = 65521
/** So many bytes can be added before the sums must be reduced to stay below 2^31. */
const runMax = 3800

/** So many digits can be added to 32 bits at once and stay exact in a double. */
const digitsTogether = 6

export class Adler32 {
  #a = 1
  #b = 0
  /** How many bytes more can be added before the sums are reduced. */
  #left = runMax

  reset(): void {
    this.#a = 1
    this.#b = 0
    this.#left = runMax
  }

  piece(start: number, end: number): void {
    for (let from = start; from < end; from += runMax) this.#run(from, Math.min(end, from + runMax))
  }

  /** Bytes of a text as UTF-8. */
  text(text: string): void {
    for (const byte of Buffer.from(text)) {
      this.#makeRoom(1)
      this.#a += byte
      this.#b += this.#a
    }
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
    this.words(low, high)
  }

  /** The eight bytes, lowest first, of an integer of 64 bits. */
  words(low: number, high: number): void {
    this.#makeRoom(8)
    this.#u32(low)
    // Most integers are small: zeros change only the second sum.
    if (high === 0) this.#b += 4 * this.#a
    else this.#u32(high)
  }

  /** An unsigned 32-bit integer. */
  sum(): number {
    return (this.#b % modulus) * 0x1_0000 + (this.#a % modulus)
  }

  /** At most `runMax` bytes. */
  #run(start: number, end: number): void {
    this.#makeRoom(end - start)
    let a = this.#a
    let b = this.#b
    for (let place = start; place < end; place++) {
      a += memory[place] ?? 0
      b += a
    }
    this.#a = a
    this.#b = b
  }

  #u32(value: number): void {
    const first = this.#a + (value & 0xff)
    const second = first + ((value >>> 8) & 0xff)
    const third = second + ((value >>> 16) & 0xff)
    const fourth = third + (value >>> 24)
    this.#b += first + second + third + fourth
    this.#a = fourth
  }

  #makeRoom(bytes: number): void {
    this.#left -= bytes
    if (this.#left >= 0) return
    this.#a %= modulus
    this.#b %= modulus
    this.#left = runMax - bytes
  }
}
