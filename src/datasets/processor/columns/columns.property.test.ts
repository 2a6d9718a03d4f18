import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { loadMessage, messageStart } from '../../../std/arena.ts'
import { createRowBufferFrom, transferOfRows } from '../../row-buffer.ts'
import { nativePieces } from './column-data.ts'
import { ColumnRows } from './columns.ts'
import { type NativeRow, readNative } from './read-native.ts'

/** A table with a column of each kind. */
function createTable() {
  const rows = new ColumnRows()
  return {
    rows,
    small: rows.u8('small'),
    middle: rows.u16('middle'),
    time: rows.u32('time', { type: 'DateTime' }),
    change: rows.u32('change', { type: 'Int32', isNullable: true }),
    large: rows.u64('large'),
    signed: rows.u64('signed', { type: 'Int64', isNullable: true }),
    share: rows.f64('share', { isNullable: true }),
    id: rows.uuid('id', { isNullable: true }),
    note: rows.text('note', { isNullable: true }),
    kind: rows.key('kind'),
    reason: rows.key('reason', { isNullable: true }),
    numbers: rows.u64s('numbers'),
    texts: rows.texts('texts'),
  }
}

type Table = ReturnType<typeof createTable>

const nullable = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null })
const u64 = fc.bigInt(0n, 2n ** 64n - 1n)
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 120, maxLength: 300 }))
const rowOf = fc.record(
  {
    small: fc.bigInt(0n, 255n),
    middle: fc.bigInt(0n, 65_535n),
    time: fc.bigInt(0n, 2n ** 32n - 1n),
    change: nullable(fc.bigInt(-(2n ** 31n), 2n ** 31n - 1n)),
    large: u64,
    signed: nullable(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
    share: nullable(fc.double()),
    id: nullable(fc.uuid()),
    note: nullable(text),
    kind: fc.oneof(fc.constantFrom('', 'a', 'b'), text),
    reason: nullable(fc.oneof(fc.constantFrom('', 'a', 'b'), text)),
    numbers: fc.array(u64, { maxLength: 4 }),
    texts: fc.array(text, { maxLength: 4 }),
  },
  { noNullPrototype: true },
)
type TestRow = typeof rowOf extends fc.Arbitrary<infer Row> ? Row : never

function orNull<T>(value: T | null, column: { put: (value: T) => void; putNull: () => void }): void {
  if (value === null) column.putNull()
  else column.put(value)
}

/** Adds the values of a row, in some order, up to one of its columns. */
function put(table: Table, row: TestRow, columns = Number.POSITIVE_INFINITY): void {
  const acts = [
    () =>
      row.texts.forEach((one) => {
        table.texts.items.put(one)
      }),
    () => table.texts.end(),
    () => table.small.put(Number(row.small)),
    () => table.middle.put(Number(row.middle)),
    () => table.time.put(Number(row.time)),
    () => orNull(row.change === null ? null : Number(row.change), table.change),
    () => table.large.put(row.large),
    () => orNull(row.signed, table.signed),
    () => orNull(row.share, table.share),
    () => orNull(row.id, table.id),
    () => orNull(row.note, table.note),
    () => table.kind.put(row.kind),
    () => orNull(row.reason, table.reason),
    () =>
      row.numbers.forEach((one) => {
        table.numbers.items.put(one)
      }),
    () => table.numbers.end(),
  ]
  for (const act of acts.slice(0, columns)) act()
}

function bytesOf(pieces: readonly Uint8Array[]): Buffer {
  return Buffer.concat(pieces)
}

function sameRows(bytes: Buffer, rows: readonly NativeRow[]): void {
  assert.deepEqual(readNative(bytes), rows)
}

suite('a table by columns', () => {
  test('gives back any run of its rows, whatever was begun and taken back between them', () => {
    const table = createTable()
    const step = fc.record({ row: rowOf, begun: fc.option(fc.nat(14)), cuts: fc.integer({ min: 0, max: 3 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.nat(), fc.nat(), (steps, one, two) => {
        const model: TestRow[] = []
        for (const { row, begun, cuts } of steps) {
          if (begun !== null) {
            put(table, row, begun)
            model.length = Math.max(0, model.length - cuts)
            table.rows.cut(model.length)
          }
          put(table, row)
          table.rows.end(model.length)
          model.push(row)
        }
        const { block, owners } = table.rows.take()
        assert.equal(owners.length, model.length)
        const [from = 0, until = 0] = [one, two]
          .map((at) => at % (model.length + 1))
          .toSorted((a, b) => a - b)
        sameRows(bytesOf(nativePieces(block, 0, model.length)), model)
        sameRows(bytesOf(nativePieces(block, from, until)), model.slice(from, until))
      }),
    )
  })

  test('moves to another thread and joins others there', () => {
    const rows = fc.array(rowOf, { maxLength: 6 })
    fc.assert(
      fc.property(fc.array(rows, { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(), (batches, one, two) => {
        let firstOwner = 0
        const parts = batches.map((batch) => {
          const table = createTable()
          for (const [index, row] of batch.entries()) {
            put(table, row)
            table.rows.end(index)
          }
          const taken = table.rows.take()
          const moved = structuredClone(taken, { transfer: transferOfRows(taken) })
          assert.equal(taken.owners.length, 0, 'it was moved, not copied')
          firstOwner += batch.length
          return { ...moved, firstOwner: firstOwner - batch.length }
        })
        const all = batches.flat()
        const joined = createRowBufferFrom(parts)
        assert.equal(joined.rows, all.length)
        assert.deepEqual(
          all.map((_, row) => joined.ownerOf(row)),
          all.map((_, row) => row),
        )
        const [from = 0, until = 0] = [one, two].map((at) => at % (all.length + 1)).toSorted((a, b) => a - b)
        sameRows(joined.slice(from, until), all.slice(from, until))
      }),
    )
  })

  test('grows beyond what it begins with, in rows, in texts and in keys', () => {
    const table = createTable()
    const template = fc.sample(rowOf, { numRuns: 1, seed: 7 })[0]
    assert.ok(template)
    const rows = Array.from({ length: 2000 }, (_, index) => ({
      ...template,
      kind: `kind ${index}`,
      reason: index % 3 === 0 ? null : `${index % 700}`,
      note: 'x'.repeat(index % 50),
      numbers: [BigInt(index), 1n],
    }))
    for (const row of rows) {
      put(table, row)
      table.rows.end(0)
    }
    const { block } = table.rows.take()
    sameRows(bytesOf(nativePieces(block, 0, 2000)), rows)
    sameRows(bytesOf(nativePieces(block, 1999, 2000)), rows.slice(1999))
    assert.ok(bytesOf(nativePieces(block, 1999, 2000)).length < 1000, 'a part has its own keys only')
  })

  test('refuses a row that has no value in a column, or two', () => {
    const rows = new ColumnRows()
    const [one, two] = [rows.u8('one'), rows.u8('two')]
    one.put(1)
    assert.throws(() => rows.end(0), /column two got 0 values/)
    rows.cut(0)
    one.put(1)
    two.put(1)
    one.put(2)
    assert.throws(() => rows.end(0), /column one got 2 values/)
    rows.cut(0)
    one.put(9)
    assert.throws(() => rows.end(0), /column two got 0 values/)
    rows.cut(0)
    assert.throws(() => one.putNull(), TypeError)
    assert.throws(() => rows.u8('one'), /two columns one/)
    one.putDefault()
    two.put(3)
    rows.end(0)
    sameRows(bytesOf(nativePieces(rows.take().block, 0, 1)), [{ one: 0n, two: 3n }])
  })
})

suite('a piece of the arena', () => {
  const inArena = (text: string) => {
    const bytes = Buffer.from(text)
    loadMessage(bytes)
    return [messageStart, messageStart + bytes.length] as const
  }

  test('becomes an integer of 64 bits exactly when it is one', () => {
    const rows = new ColumnRows()
    const column = rows.u64('n')
    const digits = fc.oneof(
      fc.bigInt(0n, 2n ** 68n).map(String),
      fc.bigInt(2n ** 64n - 5n, 2n ** 64n + 5n).map(String),
      fc.bigInt(2n ** 53n - 5n, 2n ** 53n + 5n).map(String),
      fc.stringMatching(/^[-+.0-9e]{0,22}$/),
    )
    fc.assert(
      fc.property(digits, (text) => {
        const isInteger = /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n
        assert.equal(column.putDigits(...inArena(text)), isInteger)
        if (isInteger) rows.end(0)
        const { block } = rows.take()
        assert.deepEqual(
          readNative(bytesOf(nativePieces(block, 0, block.rows))),
          isInteger ? [{ n: BigInt(text) }] : [],
        )
      }),
      { numRuns: 1000 },
    )
  })

  test('becomes a text, with its escapes read, and a UUID', () => {
    const rows = new ColumnRows()
    const columns = [rows.text('text'), rows.key('key')]
    const id = rows.uuid('id')
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.uuid(), (text, uuid) => {
        for (const column of columns) column.putJson(...inArena(JSON.stringify(text)))
        assert.equal(id.putHex(inArena(`"${uuid.replaceAll('-', '').slice(1)}"`)[0] + 1), false)
        assert.equal(id.putHex(inArena(uuid.replaceAll('-', ''))[0]), true)
        rows.end(0)
        const { block } = rows.take()
        sameRows(bytesOf(nativePieces(block, 0, 1)), [{ text, key: text, id: uuid }])
      }),
    )
  })

  test('a float is cut off and kept in range', () => {
    const rows = new ColumnRows()
    const column = rows.u64('n')
    for (const value of [-1, -0, 0.99, 1.5, 2 ** 53, 2 ** 63, 2 ** 64, 1e300]) {
      column.putTruncated(value)
      rows.end(0)
    }
    const { block } = rows.take()
    const found = readNative(bytesOf(nativePieces(block, 0, block.rows))).map(({ n }) => n)
    const most = 2n ** 64n - 1n
    assert.deepEqual(found, [0n, 0n, 0n, 1n, 2n ** 53n, 2n ** 63n, most, most])
  })
})

test('bytes that are no whole block are refused', () => {
  const rows = new ColumnRows()
  rows.key('key').put('a')
  rows.end(0)
  const bytes = bytesOf(nativePieces(rows.take().block, 0, 1))
  for (let length = 1; length < bytes.length; length++)
    assert.throws(() => readNative(bytes.subarray(0, length)), RangeError)
})
