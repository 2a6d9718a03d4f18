/**
 * A table's rows, written by columns: a processor makes the columns once, adds a value to each for a row, and says
 * `output.endRow()`. At the end of a batch the columns become a block in ClickHouse's format Native, which costs
 * neither side the names of fields, the text of numbers or a look at each row.
 *
 * The columns belong to the processor and are empty between two batches. Their names and types are those of the
 * table; a column of the table that is not among them takes its default.
 */
import type { Column, ColumnOptions, ColumnPlace } from './column.ts'
import { type ColumnBlock, nativeHeader } from './column-data.ts'
import { ListColumn } from './list-column.ts'
import { F64Column, U8Column, U16Column, U32Column, U64Column, UuidColumn } from './number-columns.ts'
import { KeyColumn, TextColumn, type TextColumnOptions } from './text-columns.ts'

/** Columns, and items of lists, of a table. */
const slotsMax = 1024

export class ColumnRows {
  readonly #columns: { name: string; header: Uint8Array<ArrayBuffer>; column: Column }[] = []
  /** How many values each column and each list's items have, by slot. */
  readonly #counts = new Int32Array(slotsMax)
  /** The same, as of the last row that ended. */
  readonly #ended = new Int32Array(slotsMax)
  /** The column of a slot whose values are counted by rows. */
  readonly #names: (string | undefined)[] = []
  #owners: number[] = []

  get rows(): number {
    return this.#owners.length
  }

  u8(name: string, options?: ColumnOptions): U8Column {
    return this.#add(name, new U8Column(this.#place(name), options))
  }

  u16(name: string, options?: ColumnOptions): U16Column {
    return this.#add(name, new U16Column(this.#place(name), options))
  }

  u32(name: string, options?: ColumnOptions): U32Column {
    return this.#add(name, new U32Column(this.#place(name), options))
  }

  u64(name: string, options?: ColumnOptions): U64Column {
    return this.#add(name, new U64Column(this.#place(name), options))
  }

  f64(name: string, options?: ColumnOptions): F64Column {
    return this.#add(name, new F64Column(this.#place(name), options))
  }

  uuid(name: string, options?: ColumnOptions): UuidColumn {
    return this.#add(name, new UuidColumn(this.#place(name), options))
  }

  text(name: string, options?: TextColumnOptions): TextColumn {
    return this.#add(name, new TextColumn(this.#place(name), options))
  }

  /** LowCardinality(String). */
  key(name: string, options?: TextColumnOptions): KeyColumn {
    return this.#add(name, new KeyColumn(this.#place(name), options))
  }

  u8s(name: string): ListColumn<U8Column> {
    return this.#add(name, new ListColumn(this.#place(name), new U8Column(this.#place(undefined))))
  }

  u64s(name: string): ListColumn<U64Column> {
    return this.#add(name, new ListColumn(this.#place(name), new U64Column(this.#place(undefined))))
  }

  f64s(name: string): ListColumn<F64Column> {
    return this.#add(name, new ListColumn(this.#place(name), new F64Column(this.#place(undefined))))
  }

  texts(name: string): ListColumn<TextColumn> {
    return this.#add(name, new ListColumn(this.#place(name), new TextColumn(this.#place(undefined))))
  }

  /** Ends a row. Throws if a column did not get exactly one value. */
  end(owner: number): void {
    const rows = this.#owners.length + 1
    const counts = this.#counts
    const ended = this.#ended
    const names = this.#names
    for (let slot = 0; slot < names.length; slot++)
      if (counts[slot] !== rows && names[slot] !== undefined)
        this.#refuse(slot, (counts[slot] ?? 0) - rows + 1)
    for (let slot = 0; slot < names.length; slot++) ended[slot] = counts[slot] ?? 0
    this.#owners.push(owner)
  }

  ownerOf(row: number): number {
    return this.#owners[row] ?? -1
  }

  /** Takes back all rows from `row` on, and what was added to a row that has not ended. */
  cut(row: number): void {
    const isShorter = row < this.#owners.length
    if (isShorter) this.#owners.length = row
    if (!isShorter && this.#isEnded()) return
    for (const { column } of this.#columns) column.cut(Math.min(this.rows, column.values))
    this.#ended.set(this.#counts)
  }

  /** All rows and whose they are; there are none afterwards. */
  take(): { block: ColumnBlock; owners: Uint32Array<ArrayBuffer> } {
    const rows = this.#owners.length
    this.cut(rows)
    const owners = Uint32Array.from(this.#owners)
    const columns = this.#columns.map(({ name, header, column }) => ({
      name,
      header,
      data: column.take(rows),
    }))
    this.#owners = []
    this.#ended.fill(0)
    return { block: { rows, columns }, owners }
  }

  /** Whether nothing was added since the last row ended. */
  #isEnded(): boolean {
    const counts = this.#counts
    const ended = this.#ended
    for (let slot = 0; slot < this.#names.length; slot++) if (counts[slot] !== ended[slot]) return false
    return true
  }

  /** The next slot, of a column or of a list's items, which have no name. */
  #place(name: string | undefined): ColumnPlace {
    if (name !== undefined && this.#names.includes(name))
      throw new TypeError(`There are two columns ${name}.`)
    const slot = this.#names.push(name) - 1
    if (slot === slotsMax) throw new RangeError(`A table has at most ${slotsMax} columns here.`)
    return { counts: this.#counts, slot }
  }

  #add<Kind extends Column>(name: string, column: Kind): Kind {
    this.#columns.push({ name, header: nativeHeader(name, column.type), column })
    return column
  }

  #refuse(slot: number, values: number): never {
    throw new Error(`The column ${this.#names[slot]} got ${values} values for one row.`)
  }
}
