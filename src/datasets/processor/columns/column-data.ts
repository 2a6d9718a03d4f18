/**
 * Rows by columns, as plain pieces of memory that can be moved to another thread, and ClickHouse's Native
 * format of any run of them: numbers of columns and rows, then of each column its name, its type and its values.
 *
 * Values are in the byte order of the machine, which Native wants to be little-endian, as are all machines that
 * Node runs on here.
 */
export type ColumnData =
  | { kind: 'fixed'; width: number; bytes: Uint8Array<ArrayBuffer> }
  /** Each text with its length before it. `starts` has one place more than there are texts: the end. */
  | { kind: 'texts'; bytes: Uint8Array<ArrayBuffer>; starts: Uint32Array<ArrayBuffer> }
  /** A text of `keys` for each row; where `isNullable`, the first key is null. */
  | { kind: 'keys'; keys: TextData; rows: Uint32Array<ArrayBuffer>; isNullable: boolean }
  | { kind: 'nullable'; nulls: Uint8Array<ArrayBuffer>; values: ColumnData }
  /** Where each list ends among the items. */
  | { kind: 'lists'; ends: Uint32Array<ArrayBuffer>; items: ColumnData }

export type TextData = Extract<ColumnData, { kind: 'texts' }>
type KeyData = Extract<ColumnData, { kind: 'keys' }>

/** `header` says name and type in Native; it is made once. */
export type NamedColumn = { name: string; header: Uint8Array<ArrayBuffer>; data: ColumnData }

export type ColumnBlock = { rows: number; columns: readonly NamedColumn[] }

/** Version of LowCardinality's form: a dictionary with each block. */
const keysVersion = 1
/** Keys stand in the block, and the dictionary is a new one. */
const ownKeys = 0x600

/** The block's rows from `from` up to `until` in Native, as pieces that follow one another. */
export function nativePieces(block: ColumnBlock, from: number, until: number): Uint8Array[] {
  const rows = until - from
  const pieces: Uint8Array[] = [Buffer.concat([varint(block.columns.length), varint(rows)])]
  for (const { header, data } of block.columns) {
    pieces.push(header)
    if (rows > 0) putData(pieces, data, { from, until })
  }
  return pieces
}

/** What stands before a column's values. */
export function nativeHeader(name: string, type: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat([text(name), text(type)]))
}

/** The memory of a block, for a transfer. */
export function memoryOf({ columns }: ColumnBlock): ArrayBuffer[] {
  return columns.flatMap(({ data }) => buffersOf(data))
}

function buffersOf(data: ColumnData): ArrayBuffer[] {
  switch (data.kind) {
    case 'fixed':
      return [data.bytes.buffer]
    case 'texts':
      return [data.bytes.buffer, data.starts.buffer]
    case 'keys':
      return [...buffersOf(data.keys), data.rows.buffer]
    case 'nullable':
      return [data.nulls.buffer, ...buffersOf(data.values)]
    case 'lists':
      return [data.ends.buffer, ...buffersOf(data.items)]
  }
}

type Range = { from: number; until: number }

function putData(pieces: Uint8Array[], data: ColumnData, range: Range): void {
  const { from, until } = range
  switch (data.kind) {
    case 'fixed':
      pieces.push(data.bytes.subarray(from * data.width, until * data.width))
      return
    case 'texts':
      pieces.push(data.bytes.subarray(data.starts[from], data.starts[until]))
      return
    case 'nullable':
      pieces.push(data.nulls.subarray(from, until))
      putData(pieces, data.values, range)
      return
    case 'keys':
      putKeys(pieces, data, range)
      return
    case 'lists':
      putLists(pieces, data, range)
  }
}

function putLists(
  pieces: Uint8Array[],
  { ends, items }: Extract<ColumnData, { kind: 'lists' }>,
  { from, until }: Range,
): void {
  const begin = from === 0 ? 0 : (ends[from - 1] ?? 0)
  const words = new Uint32Array(2 * (until - from))
  for (let row = from; row < until; row++) words[2 * (row - from)] = (ends[row] ?? 0) - begin
  pieces.push(bytesOf(words))
  putData(pieces, items, { from: begin, until: ends[until - 1] ?? 0 })
}

function putKeys(pieces: Uint8Array[], data: KeyData, { from, until }: Range): void {
  const isWhole = from === 0 && until === data.rows.length
  const { keys, rows } = isWhole ? data : usedKeys(data, { from, until })
  const count = keys.starts.length - 1
  const [kind, narrow] =
    count <= 0x100
      ? ([0, Uint8Array.from(rows)] as const)
      : count <= 0x1_0000
        ? ([1, Uint16Array.from(rows)] as const)
        : ([2, rows] as const)
  pieces.push(words64([keysVersion, ownKeys + kind, count]), keys.bytes)
  pieces.push(words64([rows.length]), bytesOf(narrow))
}

/** The rows of a range with the keys that they use: parts of a batch must not all carry all of its keys. */
function usedKeys(
  { keys, rows, isNullable }: KeyData,
  { from, until }: Range,
): Pick<KeyData, 'keys' | 'rows'> {
  const places = new Map<number, number>(isNullable ? [[0, 0]] : [])
  const own = new Uint32Array(until - from)
  for (let row = from; row < until; row++) {
    const key = rows[row] ?? 0
    const place = places.get(key) ?? places.size
    places.set(key, place)
    own[row - from] = place
  }
  const texts = [...places.keys()].map((key) => keys.bytes.subarray(keys.starts[key], keys.starts[key + 1]))
  const starts = new Uint32Array(texts.length + 1)
  for (const [index, { length }] of texts.entries()) starts[index + 1] = (starts[index] ?? 0) + length
  const bytes = new Uint8Array(starts[texts.length] ?? 0)
  for (const [index, one] of texts.entries()) bytes.set(one, starts[index])
  return { keys: { kind: 'texts', bytes, starts }, rows: own }
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array | Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Integers below 2^32 in 64 bits each. */
function words64(values: readonly number[]): Uint8Array {
  const words = new Uint32Array(2 * values.length)
  for (const [index, value] of values.entries()) words[2 * index] = value
  return bytesOf(words)
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([varint(bytes.length), bytes])
}

/** Unsigned LEB128, the form of lengths. */
export function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return Buffer.from([...bytes, rest])
}
