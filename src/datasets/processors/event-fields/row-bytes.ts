/** One row's JSON text as it is written, in memory that is used again for the next row. */
const hyphen = 0x2d
/** Longer pieces are worth a call out of JavaScript. */
const loopBytesMax = 64

export class RowBytes {
  #bytes = Buffer.allocUnsafe(64 * 1024)
  #length = 0

  clear(): void {
    this.#length = 0
  }

  /** Adds bytes of a message. */
  slice(source: Buffer, start: number, end: number): void {
    const count = end - start
    if (this.#length + count > this.#bytes.length) this.#grow(count)
    const bytes = this.#bytes
    let at = this.#length
    this.#length += count
    if (count > loopBytesMax) source.copy(bytes, at, start, end)
    else for (let from = start; from < end; from++) bytes[at++] = source[from] ?? 0
  }

  /** Adds a text whose characters are bytes. */
  text(text: string): void {
    const count = text.length
    if (this.#length + count > this.#bytes.length) this.#grow(count)
    const bytes = this.#bytes
    let at = this.#length
    this.#length += count
    if (count > loopBytesMax) bytes.write(text, at, 'latin1')
    else for (let from = 0; from < count; from++) bytes[at++] = text.charCodeAt(from)
  }

  /** Adds bytes that stay the same. */
  fixed(bytes: Buffer): void {
    this.slice(bytes, 0, bytes.length)
  }

  /** Adds a UUID in its usual form, out of the 32 digits, with or without hyphens, at a place of a message. */
  uuid(source: Buffer, place: number, hyphens: 'write' | 'omit' = 'write'): void {
    if (this.#length + 36 > this.#bytes.length) this.#grow(36)
    const bytes = this.#bytes
    let at = this.#length
    let from = place
    for (let digit = 0; digit < 32; digit++) {
      const byte = source[from] === hyphen ? (source[++from] ?? 0) : (source[from] ?? 0)
      if (hyphens === 'write' && (digit === 8 || digit === 12 || digit === 16 || digit === 20))
        bytes[at++] = hyphen
      // Upper case letters lie 32 below lower case ones; digits have that bit already.
      bytes[at++] = byte | 0x20
      from++
    }
    this.#length = at
  }

  byte(byte: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1)
    this.#bytes[this.#length++] = byte
  }

  /** What was written, valid until the next row. */
  written(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #grow(more: number): void {
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}
