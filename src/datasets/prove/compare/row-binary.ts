/**
 * Rows in RowBinary, read by the types of the table's columns, as values that can be compared with those of a
 * JSON row: integers of any size as bigints, times as ticks, maps as objects.
 */
import { isUtf8 } from 'node:buffer'
import type { LosslessValue } from '../../../std/lossless-json.ts'
import { type ColumnType, parseColumnType, splitField } from './column-type.ts'

export type BinaryColumn = { name: string; type: ColumnType }

/** Throws a `RangeError` for bytes that are too few or too many, and for a type that is not known here. */
export function readRowBinary(row: Buffer, columns: readonly BinaryColumn[]): Record<string, LosslessValue> {
  const reader = new Reader(row)
  const values: Record<string, LosslessValue> = {}
  for (const { name, type } of columns) values[name] = reader.value(type)
  if (reader.left > 0) throw new RangeError(`${reader.left} bytes follow the last column.`)
  return values
}

const integers: Readonly<Record<string, { bytes: number; isSigned: boolean }>> = Object.fromEntries(
  [1, 2, 4, 8, 16, 32].flatMap((bytes) => [
    [`UInt${bytes * 8}`, { bytes, isSigned: false }],
    [`Int${bytes * 8}`, { bytes, isSigned: true }],
  ]),
)

/** Types that are an integer on the wire. */
const asInteger: Readonly<Record<string, string>> = {
  Bool: 'UInt8',
  Date: 'UInt16',
  Date32: 'Int32',
  DateTime: 'UInt32',
  DateTime64: 'Int64',
  Enum8: 'Int8',
  Enum16: 'Int16',
  IPv4: 'UInt32',
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

  value(type: ColumnType): LosslessValue {
    const [first = '', second = ''] = type.parts
    const integer = integers[asInteger[type.name] ?? type.name]
    if (integer !== undefined) return this.#integer(integer)
    switch (type.name) {
      case 'Nullable':
        return this.#take(1)[0] === 0 ? this.value(parseColumnType(first)) : null
      case 'LowCardinality':
        return this.value(parseColumnType(first))
      case 'SimpleAggregateFunction':
        return this.value(parseColumnType(second))
      case 'Float32':
        return this.#take(4).readFloatLE()
      case 'Float64':
        return this.#take(8).readDoubleLE()
      case 'String':
        return textOf(this.#take(this.#length()))
      case 'FixedString':
        return textOf(this.#take(Number(first)))
      case 'UUID':
        return uuidText(this.#take(16))
      case 'IPv6':
        return this.#take(16).toString('hex')
      case 'Array':
        return this.#array(parseColumnType(first))
      case 'Map':
        return this.#map(parseColumnType(first), parseColumnType(second))
      case 'Tuple':
        return type.parts.map((part) => this.value(parseColumnType(splitField(part).type)))
      default:
        throw new RangeError(`A column of the type ${type.name} cannot be read from RowBinary.`)
    }
  }

  #array(type: ColumnType): LosslessValue[] {
    return Array.from({ length: this.#count() }, () => this.value(type))
  }

  #map(keyType: ColumnType, valueType: ColumnType): Record<string, LosslessValue> {
    const map: Record<string, LosslessValue> = {}
    for (let left = this.#count(); left > 0; left--) {
      const key = String(this.value(keyType))
      if (Object.hasOwn(map, key)) throw new RangeError(`A map holds the key ${JSON.stringify(key)} twice.`)
      Object.defineProperty(map, key, { value: this.value(valueType), enumerable: true })
    }
    return map
  }

  #integer({ bytes, isSigned }: { bytes: number; isSigned: boolean }): bigint {
    const taken = this.#take(bytes)
    let value = 0n
    for (let at = bytes - 1; at >= 0; at--) value = (value << 8n) | BigInt(taken[at] ?? 0)
    return isSigned ? BigInt.asIntN(bytes * 8, value) : value
  }

  /** A number of elements: each takes at least no byte, but no list is longer than what is left, by far. */
  #count(): number {
    const count = this.#length()
    if (count > this.#bytes.length) throw new RangeError(`A list of ${count} elements does not fit the row.`)
    return count
  }

  #length(): number {
    let length = 0
    for (let shift = 0; shift < 56; shift += 7) {
      const byte = this.#take(1)[0] ?? 0
      length += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return length
    }
    throw new RangeError('A length does not end.')
  }

  #take(length: number): Buffer {
    if (!(length <= this.left)) throw new RangeError(`The row ends ${length - this.left} bytes too early.`)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

function textOf(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString() : `not UTF-8: ${bytes.toString('hex')}`
}

/** Two little-endian halves of 8 bytes. */
function uuidText(bytes: Buffer): string {
  const half = (at: number) =>
    Buffer.from(bytes.subarray(at, at + 8))
      .reverse()
      .toString('hex')
  const hex = half(0) + half(8)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
