/**
 * What the columns of a table that is written by columns have in common: each is one or two growing arrays, to
 * which a value is added for each row. How many values a column has is kept beside those of the other columns, so
 * that the end of a row can look at all of them at once.
 */
import type { ColumnData } from './column-data.ts'

/** Where the number of a column's values is kept. */
export type ColumnPlace = { counts: Int32Array; slot: number }

export type ColumnOptions = {
  /** The type in ClickHouse's words, of the same width. Default: that of the column's name here. */
  type?: string
  isNullable?: boolean
}

export const rowsExpected = 512

export abstract class Column {
  readonly type: string
  protected readonly counts: Int32Array
  protected readonly slot: number
  /** 1 for each row that is null; what lies beyond its end is not null. Absent where no value may be. */
  #nulls: Uint8Array<ArrayBuffer> | undefined

  constructor({ counts, slot }: ColumnPlace, type: string, isNullable = false) {
    this.counts = counts
    this.slot = slot
    this.type = isNullable ? `Nullable(${type})` : type
    this.#nulls = isNullable ? new Uint8Array(rowsExpected) : undefined
  }

  get values(): number {
    return this.counts[this.slot] ?? 0
  }

  /** Adds what stands for no value: zero, an empty text. */
  abstract putDefault(): void

  /** Adds null. Throws a `TypeError` if the column takes none. */
  putNull(): void {
    const at = this.values
    if (this.#nulls === undefined) throw new TypeError(`The column of the type ${this.type} takes no null.`)
    if (at >= this.#nulls.length) this.#nulls = grown(this.#nulls, at + 1)
    this.#nulls[at] = 1
    this.putDefault()
  }

  /** Takes back all values from `count` on. */
  cut(count: number): void {
    this.#nulls?.fill(0, count)
    this.counts[this.slot] = count
  }

  /** The first `count` values in memory of their own; the column is empty afterwards. */
  take(count: number): ColumnData {
    const values = this.copy(count)
    const nulls = this.#nulls
    const data: ColumnData =
      nulls === undefined ? values : { kind: 'nullable', nulls: firstOf(nulls, count), values }
    this.cut(0)
    return data
  }

  /** The first `count` values in memory of their own. */
  protected abstract copy(count: number): ColumnData
}

/** Room for at least `count` numbers, what is there kept. */
export function grown(values: Uint8Array, count: number): Uint8Array<ArrayBuffer>
export function grown(values: Uint16Array, count: number): Uint16Array<ArrayBuffer>
export function grown(values: Uint32Array, count: number): Uint32Array<ArrayBuffer>
export function grown(values: Float64Array, count: number): Float64Array<ArrayBuffer>
export function grown(
  values: Uint8Array | Uint16Array | Uint32Array | Float64Array,
  count: number,
): Uint8Array | Uint16Array | Uint32Array | Float64Array {
  const length = Math.max(2 * values.length, count)
  const more =
    values instanceof Uint8Array
      ? new Uint8Array(length)
      : values instanceof Uint16Array
        ? new Uint16Array(length)
        : values instanceof Uint32Array
          ? new Uint32Array(length)
          : new Float64Array(length)
  more.set(values)
  return more
}

/** The bytes of the first values, in memory of their own. */
export function copyOf(
  { buffer, BYTES_PER_ELEMENT }: Uint8Array | Uint16Array | Uint32Array | Float64Array,
  count: number,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint8Array(buffer, 0, count * BYTES_PER_ELEMENT))
}

function firstOf(nulls: Uint8Array, count: number): Uint8Array<ArrayBuffer> {
  const first = new Uint8Array(count)
  first.set(nulls.length > count ? nulls.subarray(0, count) : nulls)
  return first
}
