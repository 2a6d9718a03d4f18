import { Column, type ColumnPlace, grown, rowsExpected } from './column.ts'
import type { ColumnData } from './column-data.ts'

/** Array(…): its items are added to a column of their own; a value of the list is all items since the last. */
export class ListColumn<Items extends Column> extends Column {
  readonly items: Items
  #ends = new Uint32Array(rowsExpected)

  constructor(place: ColumnPlace, items: Items) {
    super(place, `Array(${items.type})`)
    this.items = items
  }

  /** Ends a list: the items that were added since the last end. */
  end(): void {
    const at = this.counts[this.slot] ?? 0
    if (at >= this.#ends.length) this.#ends = grown(this.#ends, at + 1)
    this.#ends[at] = this.items.values
    this.counts[this.slot] = at + 1
  }

  /** An empty list. Items that were added since the last end are taken back. */
  putDefault(): void {
    this.items.cut(this.#endOf(this.values))
    this.end()
  }

  override cut(count: number): void {
    this.items.cut(this.#endOf(count))
    super.cut(count)
  }

  protected copy(count: number): ColumnData {
    const items = this.items.take(this.#endOf(count))
    return { kind: 'lists', ends: this.#ends.slice(0, count), items }
  }

  /** Where the items of the first `count` lists end. */
  #endOf(count: number): number {
    return count === 0 ? 0 : (this.#ends[count - 1] ?? 0)
  }
}
