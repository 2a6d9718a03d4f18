/**
 * Rows of one insert, one JSON object a line, in one growing piece of memory. Any run of rows is a slice of
 * it, so that an insert can be cut into parts without encoding anything again. Its parts can be moved to
 * another thread, and several buffers can be joined into one.
 */
export interface RowBuffer {
  readonly rows: number
  /** Which record of the batch a row was made of. */
  ownerOf(row: number): number
  /** Adds a row: a JSON object of at least one field without a raw newline, and more fields before its end. */
  addSpliced(owner: number, json: Buffer, fields: string): void
  /** Adds a row from JSON text on one line. */
  addText(owner: number, json: string): void
  /** Adds a row as it is, without a newline after it. */
  addBytes(owner: number, row: Uint8Array): void
  /** Takes back all rows from `row` on. */
  cut(row: number): void
  /** The bytes of the rows from `from` up to `until`, valid until the next row is added. */
  slice(from: number, until: number): Buffer
  /** What the buffer consists of, to be moved: the buffer must not be used afterwards. */
  parts(): RowBufferParts
}

/** Memory of its own, which `postMessage` can transfer. */
export type RowBufferParts = {
  bytes: Uint8Array<ArrayBuffer>
  /** Where each row begins. */
  starts: Float64Array<ArrayBuffer>
  owners: Uint32Array<ArrayBuffer>
}

const newline = 0x0a

export function createRowBuffer(bytesExpected: number): RowBuffer {
  return fill({
    bytes: Buffer.allocUnsafe(Math.max(1024, bytesExpected)),
    length: 0,
    starts: [],
    owners: [],
  })
}

/** One buffer of the rows of several, in their order. `firstOwner` is added to the owners of a part. */
export function createRowBufferFrom(all: readonly (RowBufferParts & { firstOwner: number })[]): RowBuffer {
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

function fill({ bytes, length, starts, owners }: Content): RowBuffer {
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
