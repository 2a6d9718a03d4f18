/** What every Warehouse must do, in code. Called by the tests of each adapter with a way to open one. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { Warehouse } from './warehouse.ts'

export type OpenedWarehouse = AsyncDisposable & { warehouse: Warehouse }

const table = `CREATE TABLE things (id UInt64, name String DEFAULT concat('thing ', toString(id)))
  ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100`

function rows(from: number, to: number): Buffer {
  const lines: string[] = []
  for (let id = from; id < to; id++) lines.push(`${JSON.stringify({ id })}\n`)
  return Buffer.from(lines.join(''))
}

async function count(warehouse: Warehouse): Promise<string> {
  const [row] = await warehouse.query<{ count: string }>('SELECT count() AS count FROM things')
  return row?.count ?? 'none'
}

export function warehouseContract(open: () => Promise<OpenedWarehouse>): void {
  insertContract(open)
  queryContract(open)
  streamContract(open)
}

function insertContract(open: () => Promise<OpenedWarehouse>): void {
  test('rows that were inserted are there, with the defaults of columns that were left out', async () => {
    await using opened = await open()
    const { warehouse } = opened
    await warehouse.command(table)
    const body = [rows(0, 10), Buffer.from('{"id":10,"name":"a\\n\\nDROP TABLE things"}\n')]
    const { rowsWritten } = await warehouse.insert({ table: 'things', format: 'JSONEachRow', body })
    assert.equal(rowsWritten, 11)
    assert.deepEqual(await warehouse.query('SELECT id, name FROM things WHERE id IN (3, 10) ORDER BY id'), [
      { id: '3', name: 'thing 3' },
      { id: '10', name: 'a\n\nDROP TABLE things' },
    ])
    assert.equal(
      (await warehouse.insert({ table: 'things', format: 'JSONEachRow', body: [] })).rowsWritten,
      0,
    )
  })

  test('a second insert with the same token changes nothing, another token inserts', async () => {
    await using opened = await open()
    const { warehouse } = opened
    await warehouse.command(table)
    const insert = (token: string) =>
      warehouse.insert({ table: 'things', format: 'JSONEachRow', body: rows(0, 5000), token })
    for (const token of ['a', 'a', 'b', 'a']) await insert(token)
    assert.equal(await count(warehouse), '10000')
  })

  test('an insert with one bad row inserts nothing and says where', async () => {
    await using opened = await open()
    const { warehouse } = opened
    await warehouse.command(table)
    const body = [rows(0, 100), Buffer.from('{"id":"no number"}\n'), rows(100, 200)]
    await assert.rejects(
      warehouse.insert({ table: 'things', format: 'JSONEachRow', body }),
      (error) => isRowmillError(error, 'WAREHOUSE_REFUSED') && typeof error.details.code === 'number',
    )
    assert.equal(await count(warehouse), '0')
  })

  test('rows arrive whole however they are packed, and a repeated token is known in any packing', async () => {
    await using opened = await open()
    const { warehouse } = opened
    await warehouse.command(table)
    for (const [index, compression] of (['none', 'lz4', 'zstd'] as const).entries()) {
      const body = [
        rows(index * 30_000, index * 30_000 + 100),
        rows(index * 30_000 + 100, index * 30_000 + 30_000),
      ]
      const insert = {
        table: 'things',
        format: 'JSONEachRow',
        body,
        compression,
        token: compression,
      } as const
      await warehouse.insert(insert)
      await warehouse.insert({ ...insert, compression: 'zstd' })
    }
    assert.equal(await count(warehouse), '90000')
    const body = Buffer.from([1, 0, 0, 0, 0, 0, 0, 1, 1, 10])
    const columns = ['id', 'name']
    await warehouse.insert({ table: 'things', format: 'RowBinary', columns, body, compression: 'lz4' })
    assert.deepEqual(await warehouse.query('SELECT id, name FROM things WHERE id > 1000000'), [
      { id: '72057594037927937', name: '\n' },
    ])
    const bad = { table: 'things', format: 'JSONEachRow', body: Buffer.from('{"id":"x"}\n') } as const
    await assert.rejects(warehouse.insert({ ...bad, compression: 'zstd' }), (error) =>
      isRowmillError(error, 'WAREHOUSE_REFUSED'),
    )
  })

  test('binary rows keep every byte', async () => {
    await using opened = await open()
    const { warehouse } = opened
    await warehouse.command(table)
    const name = Buffer.from('\n\n;DROP TABLE things\n\n\0')
    const body = Buffer.concat([Buffer.from([7, 0, 0, 0, 0, 0, 0, 0, name.length]), name])
    await warehouse.insert({ table: 'things', format: 'RowBinary', columns: ['id', 'name'], body })
    assert.deepEqual(await warehouse.query('SELECT hex(name) AS name FROM things'), [
      { name: name.toString('hex').toUpperCase() },
    ])
  })
}

function queryContract(open: () => Promise<OpenedWarehouse>): void {
  test('parameters are values and never SQL', async () => {
    await using opened = await open()
    const text = "'; DROP TABLE things; -- \\ \t \n 日本"
    const parameters = { text, list: ['a', "b'"], number: 5 }
    const sql = 'SELECT {text:String} AS text, {list:Array(String)} AS list, {number:UInt64} AS number'
    assert.deepEqual(await opened.warehouse.query(sql, { parameters }), [
      { text, list: ['a', "b'"], number: '5' },
    ])
  })

  test('settings hold for their own query alone', async () => {
    await using opened = await open()
    const { warehouse } = opened
    const sql = "SELECT toString(getSetting('max_result_rows')) AS rows"
    assert.deepEqual(await warehouse.query(sql, { settings: { max_result_rows: 7 } }), [{ rows: '7' }])
    assert.deepEqual(await warehouse.query(sql), [{ rows: '0' }])
  })

  test('a read-only query reads and can do nothing else', async () => {
    await using opened = await open()
    const { warehouse } = opened
    await warehouse.command(table)
    const isRefused = (error: unknown) => isRowmillError(error, 'WAREHOUSE_REFUSED')
    assert.deepEqual(await warehouse.query('SELECT 1 AS one', { isReadOnly: true }), [{ one: 1 }])
    for (const sql of [
      'DROP TABLE things',
      'INSERT INTO things SELECT 1, 2',
      "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
      "SELECT * FROM remote('127.0.0.1', system.one)",
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT 1 AS one INTO OUTFILE '/tmp/rowmill-must-not-exist'",
      'SELECT 1 AS one SETTINGS readonly = 0',
      'SELECT 1; DROP TABLE things',
    ])
      await assert.rejects(warehouse.query(sql, { isReadOnly: true }), isRefused, sql)
    assert.equal(await count(warehouse), '0')
  })

  test('an error carries the code and the name that ClickHouse gives it', async () => {
    await using opened = await open()
    await assert.rejects(opened.warehouse.query('SELECT * FROM nowhere'), (error) => {
      assert(isRowmillError(error, 'WAREHOUSE_REFUSED'))
      assert.deepEqual(error.details, { code: 60, name: 'UNKNOWN_TABLE' })
      return true
    })
  })

  test('an aborted query ends with the reason of its signal, and closing may be done twice', async () => {
    await using opened = await open()
    const abort = new AbortController()
    const sql = 'SELECT sum(sleepEachRow(0.1)) AS sum FROM numbers(1000) SETTINGS max_block_size = 1'
    const running = opened.warehouse.query(sql, { signal: abort.signal })
    abort.abort(new Error('enough'))
    await assert.rejects(running, { message: 'enough' })
    const again = await open()
    await again[Symbol.asyncDispose]()
    await again.warehouse[Symbol.asyncDispose]()
  })
}

function streamContract(open: () => Promise<OpenedWarehouse>): void {
  test('a long answer streams in the format asked for', async () => {
    await using opened = await open()
    const stream = await opened.warehouse.stream('SELECT number FROM numbers(1000000)', {
      format: 'TabSeparated',
    })
    let lines = 0
    for await (const chunk of stream) for (const byte of chunk) if (byte === 10) lines++
    assert.equal(lines, 1_000_000)
  })

  test('an error after the answer has begun ends the stream with that error', async () => {
    await using opened = await open()
    const stream = await opened.warehouse.stream(
      'SELECT number, throwIf(number = 2900000) FROM numbers(3000000)',
      { format: 'TabSeparated', settings: { max_block_size: 10000, max_threads: 1 } },
    )
    await assert.rejects(
      async () => {
        for await (const chunk of stream) assert(chunk.length > 0)
      },
      (error) => isRowmillError(error, 'WAREHOUSE_REFUSED') && error.details.code === 395,
    )
  })

  test('a stream may be destroyed before its end', async () => {
    await using opened = await open()
    const stream = await opened.warehouse.stream('SELECT number FROM numbers(1000000000)', {
      format: 'TabSeparated',
    })
    await once(stream, 'readable')
    stream.destroy()
    await once(stream, 'close')
    assert.deepEqual(await opened.warehouse.query('SELECT 1 AS one'), [{ one: 1 }])
  })
}
