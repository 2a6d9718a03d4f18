/**
 * Rows of one insert. Any run of them is cut out without making a row anew, so that an insert can be cut into
 * parts. The rows' parts can be moved to another thread, and those of several buffers be joined into one.
 *
 * There are two kinds. Rows that are bytes of their own, one JSON object a line or RowBinary, lie in one growing
 * piece of memory, and a run of them is a slice of it. Rows by columns become blocks of ClickHouse's format Native.
 */
import { type ColumnBlock, memoryOf, nativePieces } from './processor/columns/column-data.ts'

export interface RowBuffer {
  readonly rows: number
  /** For rows by columns, the names of these: the insert must name them, and its format is Native. */
  readonly columns: readonly string[] | undefined
  /** Which record of the batch a row was made of. */
  ownerOf(row: number): number
  /** The bytes of the rows from `from` up to `until`, valid until the next row is added. */
  slice(from: number, until: number): Buffer
  /** What the buffer consists of, to be moved: the buffer must not be used afterwards. */
  parts(): RowBufferParts
}

/** Rows that are added one by one. */
export interface GrowingRowBuffer extends RowBuffer {
  /** Adds a row: a JSON object of at least one field without a raw newline, and more fields before its end. */
  addSpliced(owner: number, json: Buffer, fields: string): void
  /** Adds a row from JSON text on one line. */
  addText(owner: number, json: string): void
  /** Adds a row as it is, without a newline after it. */
  addBytes(owner: number, row: Uint8Array): void
  /** Takes back all rows from `row` on. */
  cut(row: number): void
  parts(): ByteParts
}

/** Memory of its own, which `postMessage` can transfer. */
export type RowBufferParts = ByteParts | ColumnParts

export type ByteParts = {
  bytes: Uint8Array<ArrayBuffer>
  /** Where each row begins. */
  starts: Float64Array<ArrayBuffer>
  owners: Uint32Array<ArrayBuffer>
}

export type ColumnParts = { block: ColumnBlock; owners: Uint32Array<ArrayBuffer> }

const newline = 0x0a

export function createRowBuffer(bytesExpected: number): GrowingRowBuffer {
  return fill({
    bytes: Buffer.allocUnsafe(Math.max(1024, bytesExpected)),
    length: 0,
    starts: [],
    owners: [],
  })
}

/** The memory of parts that are to be moved. */
export function transferOfRows(parts: RowBufferParts): ArrayBuffer[] {
  const { owners } = parts
  if ('block' in parts) return [...memoryOf(parts.block), owners.buffer]
  return [parts.bytes.buffer, parts.starts.buffer, owners.buffer]
}

/** `firstOwner` is added to the owners of a part. */
export type OwnedParts<Parts extends RowBufferParts = RowBufferParts> = Parts & { firstOwner: number }

/** One buffer of the rows of several, in their order: either all of them or none are by columns. */
export function createRowBufferFrom(all: readonly OwnedParts[]): RowBuffer {
  const filled = all.filter(({ owners }) => owners.length > 0)
  const byColumns = filled.filter((parts) => 'block' in parts)
  if (byColumns.length > 0 && byColumns.length === filled.length) return createColumnBuffer(byColumns)
  return createByteBuffer(filled.filter((parts) => 'bytes' in parts))
}

/** Rows by columns. Each part is a block of its own within a run of rows; the engine makes one of them. */
export function createColumnBuffer(all: readonly OwnedParts<ColumnParts>[]): RowBuffer {
  const placed: { first: number; block: ColumnBlock }[] = []
  const owners: number[] = []
  for (const { block, owners: own, firstOwner } of all) {
    placed.push({ first: owners.length, block })
    for (const owner of own) owners.push(firstOwner + owner)
  }
  let last: { from: number; until: number; bytes: Buffer } | undefined
  return {
    rows: owners.length,
    columns: placed[0]?.block.columns.map(({ name }) => name),
    ownerOf: (row) => owners[row] ?? -1,
    slice(from, until) {
      if (last?.from === from && last.until === until) return last.bytes
      const pieces = placed.flatMap(({ first, block }) => {
        const begin = Math.max(from - first, 0)
        const end = Math.min(until - first, block.rows)
        return begin < end ? nativePieces(block, begin, end) : []
      })
      last = { from, until, bytes: Buffer.concat(pieces) }
      return last.bytes
    },
    parts: () => joinedParts(all),
  }
}

function joinedParts(all: readonly OwnedParts<ColumnParts>[]): ColumnParts {
  const [only] = all
  if (only === undefined || all.length > 1)
    throw new TypeError('Rows by columns that were joined cannot be moved again.')
  return { block: only.block, owners: only.owners.map((owner) => only.firstOwner + owner) }
}

function createByteBuffer(all: readonly OwnedParts<ByteParts>[]): GrowingRowBuffer {
  const [only] = all
  const content: Content = { bytes: Buffer.alloc(0), length: 0, starts: [], owners: [] }
  for (const { bytes } of all) content.length += bytes.length
  if (all.length === 1 && only !== undefined)
    content.bytes = Buffer.from(only.bytes.buffer, 0, content.length)
  else content.bytes = Buffer.concat(all.map(({ bytes }) => bytes))
  let begin = 0
  for (const { bytes, starts, owners, firstOwner } of all) {
    for (const start of starts) content.starts.push(begin + start)
    for (const owner of owners) content.owners.push(firstOwner + owner)
    begin += bytes.length
  }
  return fill(content)
}

type Content = { bytes: Buffer; length: number; starts: number[]; owners: number[] }

function fill({ bytes, length, starts, owners }: Content): GrowingRowBuffer {
  const makeRoom = (more: number) => {
    if (length + more <= bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(bytes.length * 2, length + more))
    bytes.copy(grown, 0, 0, length)
    bytes = grown
  }
  const begin = (owner: number) => {
    starts.push(length)
    owners.push(owner)
  }

  return {
    get rows() {
      return starts.length
    },
    columns: undefined,
    ownerOf: (row) => owners[row] ?? -1,
    addSpliced(owner, json, fields) {
      makeRoom(json.length + fields.length + 1)
      begin(owner)
      // These begin sooner than `copy` and `write`, which counts for short rows.
      bytes.set(json, length)
      length += json.length - 1
      for (let index = 0; index < fields.length; index++) bytes[length++] = fields.charCodeAt(index)
      bytes[length++] = newline
    },
    addText(owner, json) {
      makeRoom(Buffer.byteLength(json) + 1)
      begin(owner)
      length += bytes.write(json, length, 'utf8')
      bytes[length++] = newline
    },
    addBytes(owner, row) {
      makeRoom(row.length)
      begin(owner)
      bytes.set(row, length)
      length += row.length
    },
    cut(row) {
      length = starts[row] ?? length
      starts.length = Math.min(starts.length, row)
      owners.length = starts.length
    },
    slice: (from, until) => bytes.subarray(starts[from] ?? length, starts[until] ?? length),
    parts: () => ({
      bytes: ownMemory(bytes, length),
      starts: Float64Array.from(starts),
      owners: Uint32Array.from(owners),
    }),
  }
}

/** The first `length` bytes in memory that nobody else uses: small Buffers share theirs and cannot be moved. */
function ownMemory(bytes: Buffer, length: number): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer, 0, length)
    : new Uint8Array(bytes.subarray(0, length))
}
