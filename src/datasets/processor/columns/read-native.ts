/**
 * Reads ClickHouse's format Native back, as far as columns of this folder write it: for proofs and tests. Values
 * are those that RowBinary's reader gives too: integers of any width as bigints, times as ticks.
 */
import { isUtf8 } from 'node:buffer'
import type { LosslessValue } from '../../../std/lossless-json.ts'

export type NativeRow = Record<string, LosslessValue>

const widths: Readonly<Record<string, number>> = {
  Bool: 1,
  UInt8: 1,
  Int8: 1,
  UInt16: 2,
  Int16: 2,
  Date: 2,
  UInt32: 4,
  Int32: 4,
  Date32: 4,
  DateTime: 4,
  UInt64: 8,
  Int64: 8,
  DateTime64: 8,
}
const keysVersion = 1n
const ownKeys = 0x600n

/** The rows of all blocks. Throws a `RangeError` for bytes that are no whole blocks or of another form. */
export function readNative(bytes: Buffer): NativeRow[] {
  const reader = new Reader(bytes)
  const all: NativeRow[] = []
  while (reader.left > 0) {
    const columns = reader.length()
    const count = reader.length()
    const rows = Array.from({ length: count }, (): NativeRow => ({}))
    for (let column = 0; column < columns; column++) {
      const name = reader.text()
      const type = reader.text()
      const values = count === 0 ? [] : reader.column(type, count)
      for (const [index, row] of rows.entries()) row[name] = values[index] ?? null
    }
    all.push(...rows)
  }
  return all
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** So many values. */
  column(type: string, count: number): LosslessValue[] {
    const [, outer, inner = ''] = /^(\w+)(?:\((.*)\))?$/s.exec(type) ?? []
    if (outer === 'LowCardinality') return this.#keys(inner, count)
    if (outer === 'Array') return this.#lists(inner, count)
    if (outer === 'Nullable') {
      const nulls = this.#take(count)
      return this.column(inner, count).map((value, index) => (nulls[index] === 0 ? value : null))
    }
    return Array.from({ length: count }, () => this.#value(outer ?? ''))
  }

  length(): number {
    let length = 0
    for (let power = 1; power < 2 ** 49; power *= 0x80) {
      const byte = this.#take(1)[0] ?? 0
      length += (byte & 0x7f) * power
      if (byte < 0x80) return length
    }
    throw new RangeError('A length does not end.')
  }

  text(): string {
    const bytes = this.#take(this.length())
    return isUtf8(bytes) ? bytes.toString() : `not UTF-8: ${bytes.toString('hex')}`
  }

  #value(type: string): LosslessValue {
    if (type === 'String') return this.text()
    if (type === 'Float64') return this.#take(8).readDoubleLE()
    if (type === 'UUID') return uuidText(this.#take(16))
    const width = widths[type]
    if (width === undefined) throw new RangeError(`A column of the type ${type} cannot be read from Native.`)
    const taken = this.#take(width)
    let value = 0n
    for (let at = width - 1; at >= 0; at--) value = (value << 8n) | BigInt(taken[at] ?? 0)
    return /^(Int|Date32|DateTime64)/.test(type) ? BigInt.asIntN(8 * width, value) : value
  }

  #keys(inner: string, count: number): LosslessValue[] {
    const isNullable = inner === 'Nullable(String)'
    if (!isNullable && inner !== 'String') throw new RangeError(`Keys of the type ${inner} cannot be read.`)
    const version = this.#take(8).readBigUInt64LE()
    const flags = this.#take(8).readBigUInt64LE()
    const width = [1, 2, 4][Number(flags & 0xffn)]
    if (version !== keysVersion || (flags & ~0xffn) !== ownKeys || width === undefined)
      throw new RangeError('The keys of a column are of another form.')
    const keys = this.column('String', this.#count())
    if (this.#count() !== count) throw new RangeError('The column has another number of keys than rows.')
    return Array.from({ length: count }, () => {
      const key = this.#take(width).readUIntLE(0, width)
      const value = keys[key]
      if (value === undefined) throw new RangeError(`There is no key ${key}.`)
      return isNullable && key === 0 ? null : value
    })
  }

  #lists(inner: string, count: number): LosslessValue[] {
    const ends = Array.from({ length: count }, () => this.#count())
    const items = this.column(inner, ends.at(-1) ?? 0)
    return ends.map((end, index) => items.slice(ends[index - 1] ?? 0, end))
  }

  /** Eight bytes, for a number of values: each takes a byte at least. */
  #count(): number {
    const count = this.#take(8).readBigUInt64LE()
    if (count > BigInt(this.#bytes.length)) throw new RangeError(`${count} values do not fit the block.`)
    return Number(count)
  }

  #take(length: number): Buffer {
    if (length > this.left) throw new RangeError(`The block ends ${length - this.left} bytes too early.`)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

/** Two little-endian halves of 8 bytes. */
function uuidText(bytes: Buffer): string {
  const half = (at: number) =>
    Buffer.from(bytes.subarray(at, at + 8))
      .reverse()
      .toString('hex')
  return (half(0) + half(8)).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
