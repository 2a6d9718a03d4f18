import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { brotliCompressSync, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { compressFrameSync } from 'lz4-napi'
import { quietTelemetry } from '../../../../test/support/quiet.ts'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { createSystemClock } from '../clock.ts'
import { createSystemRandom } from '../random.ts'
import { decodeBlock, encodeBlock } from './codec/native-blocks.ts'
import { chdbConfigSchema } from './config.ts'
import { openManagedChdb } from './managed-chdb.ts'

const stack = new AsyncDisposableStack()
const directory = stack.use(await tempDir())
const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
const chdb = stack.use(
  await openManagedChdb(ground, {
    ...chdbConfigSchema.parse({ queriesMax: 3, queueMax: 2, answerBufferBytes: 65_536 }),
    directory: directory.path,
  }),
)
after(() => stack.disposeAsync())
const headers = { 'X-ClickHouse-User': chdb.user, 'X-ClickHouse-Key': chdb.password }

type Asked = { status: number; text: string; headers: Headers }

async function ask(
  query: string,
  options: {
    url?: Record<string, string>
    body?: string | Buffer
    headers?: Record<string, string>
    method?: string
  } = {},
): Promise<Asked> {
  const isBody = options.body === undefined && options.method !== 'GET'
  const params = new URLSearchParams({ ...options.url, ...(isBody ? {} : { query }) })
  const response = await fetch(`${chdb.url}/?${params}`, {
    method: options.method ?? 'POST',
    headers: { ...headers, ...options.headers },
    ...(options.method === 'GET'
      ? {}
      : { body: isBody ? query : new Blob([Buffer.from(options.body ?? '')]) }),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

async function table(name: string, window = 0): Promise<void> {
  const made = await ask(
    `CREATE TABLE ${name} (a UInt64, b String DEFAULT 'none', c UInt64 MATERIALIZED a + 1) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = ${window}`,
  )
  assert.equal(made.status, 200, made.text)
}

const count = async (name: string) => (await ask(`SELECT count() FROM ${name}`)).text.trim()

test('status pages answer without a password, everything else needs it', async () => {
  for (const path of ['/', '/ping', '/replicas_status']) {
    const page = await fetch(`${chdb.url}${path}`)
    assert.deepEqual([page.status, await page.text()], [200, 'Ok.\n'])
  }
  const bare = await fetch(`${chdb.url}/?query=SELECT+1`)
  assert.equal(bare.status, 403)
  assert.match(await bare.text(), /^Code: 516\. DB::Exception: .*\(AUTHENTICATION_FAILED\) \(version /)
  const inUrl = await fetch(`${chdb.url}/?query=SELECT+1&user=${chdb.user}&password=${chdb.password}`)
  assert.equal(await inUrl.text(), '1\n')
  const basic = Buffer.from(`${chdb.user}:${chdb.password}`).toString('base64')
  const inHeader = await fetch(`${chdb.url}/?query=SELECT+2`, {
    headers: { Authorization: `Basic ${basic}` },
  })
  assert.equal(await inHeader.text(), '2\n')
})

test('an answer has the headers of ClickHouse and the rows that were read', async () => {
  const answer = await ask('SELECT number FROM numbers(10) FORMAT JSONCompact', { url: { query_id: 'mine' } })
  assert.equal(answer.headers.get('x-clickhouse-query-id'), 'mine')
  assert.equal(answer.headers.get('x-clickhouse-format'), 'JSONCompact')
  assert.equal(answer.headers.get('x-clickhouse-timezone'), 'UTC')
  assert.equal(JSON.parse(answer.headers.get('x-clickhouse-summary') ?? '{}').read_rows, '10')
  assert.equal((await ask('SELECT 1 AS x', { url: { default_format: 'JSONEachRow' } })).text, '{"x":1}\n')
  assert.equal(
    (await ask('SELECT 1 AS x', { headers: { 'X-ClickHouse-Format': 'CSVWithNames' } })).text,
    '"x"\n1\n',
  )
})

test('data comes in the body or after the query, in any format, and is never SQL', async () => {
  await table('forms')
  const inserts: [string, string | Buffer | undefined][] = [
    ['INSERT INTO forms FORMAT JSONEachRow\n{"a":1}\n\n{"a":2}', undefined],
    ["INSERT INTO forms (a, b) VALUES (3, 'x'), (1 + 3, upper('y;'))", undefined],
    ['INSERT INTO forms (a, b) FORMAT CSV', '5,"DROP TABLE forms"\n'],
    ['INSERT INTO forms (b, a) FORMAT TSVWithNames', 'b\ta\nq\t6\n'],
    ['INSERT INTO forms (a) FORMAT RowBinary', Buffer.from([10, 10, 0, 0, 0, 0, 0, 0])],
    ['INSERT INTO forms (a, b) FORMAT JSONCompactEachRow', '[7, "z"]\n\n[8, "w"]'],
    ["INSERT INTO forms (a) SELECT x * 100 FROM input('x UInt64') FORMAT CSV", '1\n2\n'],
    ['INSERT INTO forms (a) SELECT 9', undefined],
  ]
  for (const [query, body] of inserts) {
    const answer = await ask(query, body === undefined ? {} : { body })
    assert.equal(answer.status, 200, answer.text)
  }
  assert.equal(
    (await ask('SELECT a, b, c - a FROM forms WHERE a < 3 ORDER BY a')).text,
    '1\tnone\t1\n2\tnone\t1\n',
  )
  assert.equal(await count('forms'), '12')
  const bad = await ask('INSERT INTO forms FORMAT JSONEachRow\n{"a":1}\n\nDROP TABLE forms')
  assert.equal(bad.status, 400)
  assert.doesNotMatch(bad.text, /spool/)
  assert.equal(await count('forms'), '12')
})

test('binary files of every common kind go in as they came out', async () => {
  await table('copies')
  const formats = [
    'Native',
    'RowBinary',
    'RowBinaryWithNamesAndTypes',
    'Parquet',
    'Arrow',
    'ArrowStream',
    'ORC',
    'Avro',
    'CSVWithNames',
    'TSKV',
  ]
  for (const format of formats) {
    const params = new URLSearchParams({
      query: `SELECT number AS a, '\n\n;' AS b FROM numbers(100) FORMAT ${format}`,
    })
    const out = await fetch(`${chdb.url}/?${params}`, { headers })
    const body = Buffer.from(await out.arrayBuffer())
    const answer = await ask(`INSERT INTO copies (a, b) FORMAT ${format}`, { body })
    assert.equal(answer.status, 200, `${format}: ${answer.text}`)
    assert.equal(JSON.parse(answer.headers.get('x-clickhouse-summary') ?? '{}').written_rows, '100')
  }
  assert.equal(await count('copies'), String(100 * formats.length))
})

test('bodies may be packed in every coding, answers too', async () => {
  await table('packed')
  const data = Buffer.from('{"a":1}\n{"a":2}\n')
  const query = 'INSERT INTO packed FORMAT JSONEachRow'
  const codings = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync, lz4: compressFrameSync }
  for (const [coding, pack] of Object.entries(codings)) {
    const answer = await ask(query, { body: pack(data), headers: { 'Content-Encoding': coding } })
    assert.equal(answer.status, 200, `${coding}: ${answer.text}`)
  }
  assert.equal((await ask(query, { body: encodeBlock(data), url: { decompress: '1' } })).status, 200)
  const cut = await ask(query, {
    body: gzipSync(data).subarray(0, 20),
    headers: { 'Content-Encoding': 'gzip' },
  })
  assert.equal(cut.headers.get('x-clickhouse-exception-code'), '271')
  assert.equal(await count('packed'), '10')
  const raw = async (url: string, accept: string): Promise<Buffer> => {
    const sent = httpRequest(`${chdb.url}/?${url}`, {
      headers: { ...headers, 'Accept-Encoding': accept },
    }).end()
    const [response] = await once(sent, 'response')
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  assert.equal(gunzipSync(await raw('query=SELECT+7&enable_http_compression=1', 'gzip')).toString(), '7\n')
  assert.equal(decodeBlock(await raw('query=SELECT+8&compress=1', '')).toString(), '8\n')
})

test('blocks that ClickHouse itself has written can be read', async () => {
  await ask('CREATE TABLE wide (x UInt64) ENGINE = MergeTree ORDER BY x SETTINGS min_bytes_for_wide_part = 0')
  await ask('INSERT INTO wide SELECT number * 7919 FROM numbers(100000)')
  const folders = join(directory.path, 'data', 'store')
  const names = (await readdir(folders, { recursive: true })).filter((name) => name.endsWith('/x.bin'))
  assert(names.length > 0)
  const file = await readFile(join(folders, names[0] ?? ''))
  const values: Buffer[] = []
  for (let at = 0; at < file.length; ) {
    const end = at + 16 + file.readUInt32LE(at + 17)
    values.push(decodeBlock(file.subarray(at, end)))
    at = end
  }
  assert.equal(Buffer.concat(values).readBigUInt64LE(8 * 99_999), 99_999n * 7919n)
})

test('a repeated token is ignored, also when blocks are small', async () => {
  await table('tokens', 100)
  const body = Array.from({ length: 300_000 }, (_, a) => `{"a":${a}}\n`).join('')
  const small = {
    max_insert_block_size: '1000',
    min_insert_block_size_rows: '1000',
    min_insert_block_size_bytes: '1',
  }
  for (const token of ['one', 'one', 'two', 'one'])
    await ask('INSERT INTO tokens FORMAT JSONEachRow', {
      body,
      url: { ...small, insert_deduplication_token: token },
    })
  assert.equal(await count('tokens'), '600000')
})

test('settings and parameters hold for one request, a session keeps its own', async () => {
  const threads = "SELECT getSetting('max_threads') = 1, {x:String}"
  assert.equal((await ask(threads, { url: { max_threads: '1', param_x: "it's" } })).text, "1\tit\\'s\n")
  assert.equal((await ask(threads)).headers.get('x-clickhouse-exception-code'), '456')
  assert.equal((await ask("SELECT getSetting('max_threads') = 1")).text, '0\n')
  assert.equal((await ask('SELECT 1', { url: { no_such_setting: '1' } })).status, 404)
  const session = { session_id: 's' }
  await ask('CREATE TEMPORARY TABLE mine AS SELECT 5 AS x', { url: session })
  await ask('SET max_result_rows = 77', { url: session })
  const kept = "SELECT x, getSetting('max_result_rows') FROM mine"
  assert.equal((await ask(kept, { url: { ...session, max_result_rows: '5' } })).text, '5\t5\n')
  assert.equal((await ask(kept, { url: session })).text, '5\t77\n')
  assert.equal((await ask(kept)).status, 404)
  const missing = await ask('SELECT 1', { url: { session_id: 'other', session_check: '1' } })
  assert.equal(missing.headers.get('x-clickhouse-exception-code'), '372')
})

test('a GET reads and nothing else, several statements and ways to files are refused', async () => {
  await table('guarded')
  const codeOf = async (query: string, url = {}, method = 'POST') =>
    (await ask(query, { url, method })).headers.get('x-clickhouse-exception-code')
  assert.equal(await codeOf('DROP TABLE guarded', {}, 'GET'), '164')
  assert.equal(await codeOf('SELECT 1; DROP TABLE guarded'), '62')
  assert.equal(await codeOf("SELECT 1 INTO OUTFILE '/tmp/rowmill-no'"), '358')
  assert.equal(await codeOf("SELECT * FROM file('/etc/passwd', 'LineAsString')"), '497')
  assert.equal(await codeOf("SELECT * FROM url('http://127.0.0.1:1')", { readonly: '2' }), '497')
  assert.equal(await codeOf('CREATE TABLE k (a Int8) ENGINE = Kafka'), '48')
  assert.equal(await count('guarded'), '0')
})

test('filters of a read-only request cannot be got around', async () => {
  await table('filtered')
  await ask('INSERT INTO filtered SELECT number, toString(number) FROM numbers(100)')
  await ask('CREATE VIEW filtered_view AS SELECT * FROM filtered')
  const url = { readonly: '1', additional_table_filters: "{'rowmill.filtered': 'a < 3'}" }
  const seen = [
    ...[
      'SELECT count() FROM filtered',
      'SELECT count() FROM rowmill.filtered AS x',
      'SELECT count() FROM filtered_view',
    ],
    ...[
      'WITH x AS (SELECT * FROM filtered) SELECT count() FROM x',
      'SELECT count() FROM view(SELECT * FROM filtered)',
    ],
    ...[
      'SELECT count() FROM numbers(100) AS n JOIN filtered ON n.number = a',
      'SELECT count() FROM numbers(100) WHERE number IN (SELECT a FROM filtered)',
    ],
    ...[
      'SELECT count() FROM (SELECT a FROM filtered UNION DISTINCT SELECT a FROM filtered)',
      'SELECT count() FROM filtered PREWHERE a < 1000',
      'SELECT count() FROM `filtered`',
    ],
  ]
  for (const query of seen) assert.equal((await ask(query, { url })).text.trim(), '3', query)
  for (const query of [
    'SELECT count() FROM filtered SETTINGS additional_table_filters = {}',
    'SELECT count() FROM (SELECT * FROM filtered SETTINGS additional_table_filters = {})',
    'SELECT count() FROM (SELECT * FROM filtered SETTINGS `additional_table_filters` = {})',
    'SET additional_table_filters = {}',
    "SELECT count() FROM merge('rowmill', '^filtered$')",
    "SELECT count() FROM mergeTreeIndex('rowmill', 'filtered')",
    "SELECT * FROM remote('127.0.0.1', rowmill.filtered)",
    'CREATE TEMPORARY TABLE t AS SELECT * FROM filtered',
  ])
    assert.notEqual((await ask(query, { url })).status, 200, query)
})

test('limits of time and memory are errors with their codes', async () => {
  const slow = await ask('SELECT sleepEachRow(0.1) FROM numbers(100) SETTINGS max_block_size = 1', {
    url: { max_execution_time: '1' },
  })
  assert.deepEqual([slow.status, slow.headers.get('x-clickhouse-exception-code')], [408, '159'])
  const large = await ask('SELECT groupArray(number) FROM numbers(100000000)', {
    url: { max_memory_usage: '10000000' },
  })
  assert.equal(large.headers.get('x-clickhouse-exception-code'), '241')
  const long = await ask(`SELECT ${"'x',".repeat(400_000)} 1`)
  assert.equal(long.headers.get('x-clickhouse-exception-code'), '62')
})

test('an error after the answer has begun breaks the answer off', async () => {
  const query = 'SELECT number, throwIf(number = 2900000) FROM numbers(3000000)'
  await assert.rejects(ask(query, { url: { max_block_size: '10000', max_threads: '1' } }))
  const whole = await ask(query, { url: { wait_end_of_query: '1', max_threads: '1' } })
  assert.equal(whole.headers.get('x-clickhouse-exception-code'), '395')
})

test('more requests than may wait are turned away, and those of clients that left are killed', async () => {
  const gone = new AbortController()
  const sleep = 'SELECT sum(sleepEachRow(0.1)) FROM numbers(6000) SETTINGS max_block_size = 1'
  const params = new URLSearchParams({ query: sleep })
  const slow = Array.from({ length: 6 }, () =>
    fetch(`${chdb.url}/?${params}`, { headers, signal: gone.signal }),
  )
  const first = await Promise.race(slow)
  assert.equal(first.status, 503)
  assert.match(await first.text(), /^Code: 202\./)
  gone.abort()
  await Promise.allSettled(slow)
  assert.equal((await ask("SELECT 'free'")).text, 'free\n')
})

test('the unchanged client of ClickHouse works: ping, insert, parameters, streams, errors', async () => {
  await using client = createClient({
    ...{ url: chdb.url, username: chdb.user, password: chdb.password, database: 'rowmill' },
    compression: { request: true, response: true },
    log: { level: ClickHouseLogLevel.OFF },
  })
  assert.equal((await client.ping()).success, true)
  await client.command({ query: 'CREATE TABLE client (a UInt64, b String) ENGINE = MergeTree ORDER BY a' })
  await client.insert({
    table: 'client',
    values: [{ a: 1, b: '\n\nDROP TABLE client' }],
    format: 'JSONEachRow',
  })
  const inserted = await client.insert({
    table: 'client',
    values: [[2, 'two']],
    format: 'JSONCompactEachRow',
  })
  assert.equal(inserted.summary?.written_rows, '1')
  const result = await client.query({
    query: 'SELECT b FROM client WHERE a = {a:UInt64}',
    query_params: { a: 2 },
    format: 'JSONEachRow',
  })
  assert.deepEqual(await result.json(), [{ b: 'two' }])
  const rows = await client.query({ query: 'SELECT number FROM numbers(200000)', format: 'JSONEachRow' })
  let seen = 0
  for await (const chunk of rows.stream()) seen += chunk.length
  assert.equal(seen, 200_000)
  await assert.rejects(client.query({ query: 'SELECT nope' }), { code: '47', type: 'UNKNOWN_IDENTIFIER' })
})
