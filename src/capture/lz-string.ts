/**
 * Reads lz-string's base64 form, which old SDKs send as `lz64`. The npm package has no bound on what it
 * writes, and a few kilobytes can unpack to gigabytes: this reader stops at `unitsMax`.
 *
 * The format: LZ78 codes of growing width in a stream of 6-bit characters, most significant bit first in the
 * character, least significant bit first in the code. Code 0 introduces an 8-bit unit, 1 a 16-bit unit, 2 ends.
 */
export type Unpacked = { ok: true; text: string } | { ok: false; reason: 'broken' | 'too-large' }

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const sixBits = new Uint8Array(128).fill(64)
for (let index = 0; index < alphabet.length; index++) sixBits[alphabet.charCodeAt(index)] = index
// Padding carries no bits; the code 2 has ended the stream before it.
sixBits['='.charCodeAt(0)] = 0

/** @param unitsMax the most UTF-16 units that may come out. */
export function unpackLzString(packed: string, unitsMax: number): Unpacked {
  const reader = new BitReader(packed)
  const entries: string[] = ['', '', '']
  let width = 3
  let untilWider = 4
  const first = readUnit(reader, reader.read(2))
  if (first === undefined) return { ok: false, reason: 'broken' }
  if (first === '') return { ok: true, text: '' }
  entries.push(first)
  const out = [first]
  let length = first.length
  let last = first
  while (!reader.isOver) {
    let code = reader.read(width)
    if (code === 2) return { ok: true, text: out.join('') }
    if (code < 2) {
      const unit = readUnit(reader, code)
      if (unit === undefined) break
      code = entries.push(unit) - 1
      if (--untilWider === 0) untilWider = 2 ** width++
    }
    const entry = entries[code] ?? (code === entries.length ? last + last.charAt(0) : undefined)
    if (entry === undefined || entry === '') break
    length += entry.length
    if (length > unitsMax) return { ok: false, reason: 'too-large' }
    out.push(entry)
    entries.push(last + entry.charAt(0))
    last = entry
    if (--untilWider === 0) untilWider = 2 ** width++
  }
  return { ok: false, reason: 'broken' }
}

function readUnit(reader: BitReader, code: number): string | undefined {
  if (code === 2) return ''
  if (code > 2) return undefined
  const unit = reader.read(code === 0 ? 8 : 16)
  return reader.isOver ? undefined : String.fromCharCode(unit)
}

class BitReader {
  readonly #text: string
  #at = 0
  #bit = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Whether more bits were asked for than there are, or a character is not of the alphabet. */
  isOver = false

  read(width: number): number {
    let value = 0
    for (let power = 0; power < width; power++) {
      const six = sixBits[this.#text.charCodeAt(this.#at)] ?? 64
      if (six === 64) this.isOver = true
      if ((six >> (5 - this.#bit)) & 1) value += 2 ** power
      if (++this.#bit === 6) {
        this.#bit = 0
        this.#at++
      }
    }
    return value
  }
}
