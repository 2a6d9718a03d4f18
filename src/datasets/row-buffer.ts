/**
 * Rows of one insert, one JSON object a line, in one growing piece of memory. Any run of rows is a slice of
 * it, so that an insert can be cut into parts without encoding anything again.
 */
export interface RowBuffer {
  readonly rows: number
  /** Which record of the batch a row was made of. */
  ownerOf(row: number): number
  /** Adds a row: a JSON object of at least one field without a raw newline, and more fields before its end. */
  addSpliced(owner: number, json: Buffer, fields: string): void
  /** Adds a row from JSON text on one line. */
  addText(owner: number, json: string): void
  /** The bytes of the rows from `from` up to `until`, valid until the next row is added. */
  slice(from: number, until: number): Buffer
}

const newline = 0x0a

export function createRowBuffer(bytesExpected: number): RowBuffer {
  let bytes = Buffer.allocUnsafe(Math.max(1024, bytesExpected))
  let length = 0
  const starts: number[] = []
  const owners: number[] = []

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
      length += json.copy(bytes, length, 0, json.length - 1)
      length += bytes.write(fields, length, 'latin1')
      bytes[length++] = newline
    },
    addText(owner, json) {
      makeRoom(Buffer.byteLength(json) + 1)
      begin(owner)
      length += bytes.write(json, length, 'utf8')
      bytes[length++] = newline
    },
    slice: (from, until) => bytes.subarray(starts[from] ?? length, starts[until] ?? length),
  }
}
