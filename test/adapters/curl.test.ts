/** The real curl against the embedded ClickHouse: whoever knows ClickHouse's HTTP interface is at home. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { waitFor } from '../support/wait-for.ts'
import { openTestWarehouse, type TestWarehouse } from '../support/warehouse.ts'

const found = spawnSync('curl', ['--version'], { encoding: 'utf8' })
const skip = found.status === 0 ? false : 'there is no curl on this machine'

type Answer = { status: number; headers: Headers; body: Buffer; text: string }

suite('curl and the embedded ClickHouse', { skip }, () => {
  let opened: TestWarehouse
  before(async () => {
    opened = await openTestWarehouse()
  })
  after(async () => {
    await opened[Symbol.asyncDispose]()
  })

  const address = (url: Record<string, string>): string =>
    `${opened.url}/?${new URLSearchParams({ database: opened.database, ...url })}`
  const asUser = (): string[] => ['--user', `${opened.user}:${opened.password}`]

  /** Runs curl with `parameters`; `sent` is what it reads for `@-`. */
  async function curl(parameters: readonly string[], sent: string | Buffer = ''): Promise<Answer> {
    const child = spawn('curl', ['--silent', '--show-error', '--include', '--max-time', '60', ...parameters])
    // Without `@-`, and after a refusal, curl leaves what it is given unread; its answer is what counts.
    child.stdin.on('error', () => undefined)
    child.stdin.end(sent)
    const [printed, problems] = await Promise.all([bytesOf(child.stdout), bytesOf(child.stderr)])
    assert.equal(problems.toString(), '')
    return readAnswer(printed)
  }
  const get = (query: string, url: Record<string, string> = {}, ...more: string[]) =>
    curl([...asUser(), ...more, address({ ...url, query })])
  const post = (query: string, url: Record<string, string> = {}) =>
    curl([...asUser(), '--data-binary', '@-', address(url)], query)
  const insert = (query: string, data: string | Buffer, ...more: string[]) =>
    curl([...asUser(), ...more, '--data-binary', '@-', address({ query })], data)

  async function table(name: string): Promise<void> {
    const made = await post(`CREATE TABLE ${name} (a UInt64, b String) ENGINE = MergeTree ORDER BY a`)
    assert.equal(made.status, 200, made.text)
  }
  const rowsOf = async (name: string): Promise<string> =>
    (await get(`SELECT a, b FROM ${name} ORDER BY a, b`)).text

  test('a query is asked by GET, by POST, and with its beginning in the URL', async () => {
    assert.equal((await get('SELECT 1')).text, '1\n')
    assert.equal((await post('SELECT 2')).text, '2\n')
    const split = await curl([...asUser(), '--data-binary', '@-', address({ query: 'SELECT 3,' })], '4')
    assert.equal(split.text, '3\t4\n')
    const form = await curl([...asUser(), '--data', 'SELECT 5', address({})])
    assert.equal(form.text, '5\n')
  })

  test('the format is chosen in the query, in the URL or by a header', async () => {
    const query = "SELECT 1 AS a, 'x' AS b"
    const texts: [format: string, text: string][] = [
      ['TabSeparatedWithNames', 'a\tb\n1\tx\n'],
      ['CSV', '1,"x"\n'],
      ['CSVWithNames', '"a","b"\n1,"x"\n'],
      ['JSONEachRow', '{"a":1,"b":"x"}\n'],
      ['JSONCompactEachRow', '[1, "x"]\n'],
      ['Values', "(1,'x')"],
      ['Vertical', 'Row 1:\n──────\na: 1\nb: x\n'],
    ]
    for (const [format, text] of texts) {
      const inQuery = await get(`${query} FORMAT ${format}`)
      assert.deepEqual([inQuery.text, inQuery.headers.get('x-clickhouse-format')], [text, format])
      assert.equal((await get(query, { default_format: format })).text, text)
      assert.equal((await get(query, {}, '--header', `X-ClickHouse-Format: ${format}`)).text, text)
    }
    const json = await get(`${query} FORMAT JSON`)
    assert.match(json.headers.get('content-type') ?? '', /^application\/json/)
    assert.deepEqual((JSON.parse(json.text) as { data: unknown }).data, [{ a: 1, b: 'x' }])
    const binary = await get(`${query} FORMAT RowBinary`)
    assert.deepEqual([...binary.body], [1, 1, 0x78])
    assert.equal(binary.headers.get('content-type'), 'application/octet-stream')
  })

  test('parameters are values of their types and never SQL', async () => {
    const query = 'SELECT {n:UInt8} + 1, {s:String}, length({list:Array(String)})'
    const answer = await get(query, { param_n: '41', param_s: "'; DROP TABLE x", param_list: "['a','b']" })
    assert.equal(answer.text, "42\t\\'; DROP TABLE x\t2\n")
    const wrong = await get('SELECT {n:UInt8}', { param_n: 'x' })
    assert.equal(wrong.headers.get('x-clickhouse-exception-code'), '457')
    const missing = await get('SELECT {n:UInt8}')
    assert.equal(missing.headers.get('x-clickhouse-exception-code'), '456')
  })

  test('settings of the URL hold for the request', async () => {
    assert.equal((await get("SELECT getSetting('max_threads') = 1", { max_threads: '1' })).text, '1\n')
    const limited = await get('SELECT number FROM numbers(10)', {
      max_result_rows: '3',
      result_overflow_mode: 'throw',
    })
    assert.equal(limited.headers.get('x-clickhouse-exception-code'), '396')
    const unknown = await get('SELECT 1', { no_such_setting: '1' })
    assert.deepEqual([unknown.status, unknown.headers.get('x-clickhouse-exception-code')], [404, '115'])
  })

  test('rows go in as JSONEachRow, CSV, TSV and RowBinary, and the summary counts them', async () => {
    await table('forms')
    const inserts: [format: string, data: string | Buffer][] = [
      ['JSONEachRow', '{"a":1,"b":"json"}\n{"a":2,"b":"line\\nbreak"}\n'],
      ['CSV', '3,"c,s""v"\n4,plain\n'],
      ['TabSeparated', '5\tt\\ts\n6\tv\n'],
      ['RowBinary', Buffer.from([7, 0, 0, 0, 0, 0, 0, 0, 1, 0x78, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0x79])],
    ]
    for (const [format, data] of inserts) {
      const answer = await insert(`INSERT INTO forms FORMAT ${format}`, data)
      assert.deepEqual([answer.status, answer.text], [200, ''], format)
      const summary = JSON.parse(answer.headers.get('x-clickhouse-summary') ?? '{}') as Record<string, string>
      assert.equal(summary.written_rows, '2', format)
    }
    assert.equal(
      await rowsOf('forms'),
      '1\tjson\n2\tline\\nbreak\n3\tc,s"v\n4\tplain\n5\tt\\ts\n6\tv\n7\tx\n8\ty\n',
    )
    const read = await get('SELECT * FROM forms')
    assert.match(read.headers.get('x-clickhouse-summary') ?? '', /"read_rows":"8"/)
  })

  test('packed bodies go in, and packed answers come out', async () => {
    await table('packed')
    const data = Buffer.from(Array.from({ length: 1000 }, (_, a) => `{"a":${a},"b":"x"}\n`).join(''))
    const codings = { gzip: [gzipSync, gunzipSync], zstd: [zstdCompressSync, zstdDecompressSync] } as const
    for (const [coding, [pack, unpack]] of Object.entries(codings)) {
      const header = ['--header', `Content-Encoding: ${coding}`]
      const answer = await insert('INSERT INTO packed FORMAT JSONEachRow', pack(data), ...header)
      assert.equal(answer.status, 200, answer.text)
      const accept = ['--header', `Accept-Encoding: ${coding}`]
      const packed = await get('SELECT 7', { enable_http_compression: '1' }, ...accept)
      assert.equal(packed.headers.get('content-encoding'), coding)
      assert.equal(unpack(packed.body).toString(), '7\n')
    }
    assert.equal((await get('SELECT count() FROM packed')).text, '2000\n')
    const broken = gzipSync(data).subarray(0, 30)
    const refused = await insert(
      'INSERT INTO packed FORMAT JSONEachRow',
      broken,
      '--header',
      'Content-Encoding: gzip',
    )
    assert.ok(refused.status >= 400, refused.text)
    assert.equal((await get('SELECT count() FROM packed')).text, '2000\n')
  })

  test('what follows an empty line of the data is data', async () => {
    await table('lines')
    const sql = 'DROP TABLE lines'
    await insert('INSERT INTO lines FORMAT JSONEachRow', '{"a":1,"b":"x"}\n\n{"a":2,"b":"y"}\n')
    await insert('INSERT INTO lines (b) FORMAT LineAsString', `x\n\n${sql}\n`)
    await post(`INSERT INTO lines (b) FORMAT LineAsString\nz\n\n${sql};\n${sql}\n`)
    const refused = await insert('INSERT INTO lines FORMAT JSONEachRow', `{"a":9}\n\n${sql}\n`)
    assert.deepEqual([refused.status, refused.headers.get('x-clickhouse-exception-code')], [400, '27'])
    assert.equal(
      (await get("SELECT count(), countIf(b LIKE 'DROP%'), countIf(a = 9) FROM lines")).text,
      '9\t3\t0\n',
    )
  })

  test('a large body is taken whole, in one answer', async () => {
    await table('large')
    const data = Buffer.concat(Array.from({ length: 300_000 }, (_, a) => Buffer.from(`${a}\tsome text\n`)))
    const answer = await insert('INSERT INTO large FORMAT TSV', data)
    assert.equal(answer.status, 200, answer.text)
    assert.equal((await get('SELECT count(), max(a) FROM large')).text, '300000\t299999\n')
  })

  test('a large answer arrives in pieces, and a client that pauses holds up nobody', async () => {
    const query = "SELECT number, repeat('x', 1000) FROM numbers(200000)"
    const child = spawn('curl', ['--silent', '--no-buffer', ...asUser(), address({ query })])
    let bytes = 0
    const arrived = Promise.withResolvers<void>()
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes === chunk.length) child.stdout.pause()
      arrived.resolve()
    })
    const closed = once(child, 'close')
    try {
      await arrived.promise
      // Nobody reads on: the rest waits in the host, which answers others meanwhile.
      assert.equal((await get('SELECT 1')).text, '1\n')
      assert.equal(child.exitCode, null)
      assert.ok(bytes < 1_000_000, `${bytes} bytes`)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    } finally {
      child.stdout.resume()
    }
    await closed
    assert.equal(child.exitCode, 0)
    assert.ok(bytes > 200_000_000 && bytes < 210_000_000, `${bytes} bytes`)
  })

  test('a client that leaves ends its query', async () => {
    const marker = `leaving-${process.pid}`
    const query = `SELECT sleepEachRow(0.1), '${marker}' FROM numbers(600) SETTINGS max_block_size = 1`
    const count = `SELECT count() FROM system.processes WHERE query LIKE '%${marker}%' AND query NOT LIKE '%processes%'`
    const child = spawn('curl', ['--silent', ...asUser(), address({ query })])
    await waitFor(async () => (await get(count)).text === '1\n')
    child.kill('SIGKILL')
    await waitFor(async () => (await get(count)).text === '0\n')
  })

  test('an error has its status, its code and its text', async () => {
    const errors: [query: string, status: number, code: string, name: string][] = [
      ['SELEC 1', 400, '62', 'SYNTAX_ERROR'],
      ['SELECT nope', 404, '47', 'UNKNOWN_IDENTIFIER'],
      ['SELECT * FROM nowhere', 404, '60', 'UNKNOWN_TABLE'],
      ['SELECT noSuchFunction(1)', 404, '46', 'UNKNOWN_FUNCTION'],
      ["SELECT throwIf(1, 'because')", 500, '395', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO'],
      ['SELECT 1 FORMAT Nothing', 404, '73', 'UNKNOWN_FORMAT'],
      ['SELECT 1; SELECT 2', 400, '62', 'SYNTAX_ERROR'],
    ]
    for (const [query, status, code, name] of errors) {
      const answer = await get(query)
      assert.deepEqual(
        [answer.status, answer.headers.get('x-clickhouse-exception-code')],
        [status, code],
        query,
      )
      assert.match(
        answer.text,
        new RegExp(`^Code: ${code}\\. DB::Exception: .*\\(${name}\\) \\(version `, 's'),
      )
    }
    await table('readonly')
    const written = await get('DROP TABLE readonly')
    assert.equal(written.headers.get('x-clickhouse-exception-code'), '164')
    assert.equal((await get('SELECT count() FROM readonly')).text, '0\n')
  })

  test('the password comes as Basic, in headers or in the URL, and without it there is no answer', async () => {
    const url = address({ query: 'SELECT 1' })
    const { user, password } = opened
    const inHeaders = ['--header', `X-ClickHouse-User: ${user}`, '--header', `X-ClickHouse-Key: ${password}`]
    for (const parameters of [
      [...asUser(), url],
      [...inHeaders, url],
      [`${url}&${new URLSearchParams({ user, password })}`],
    ])
      assert.equal((await curl(parameters)).text, '1\n')
    for (const parameters of [[url], ['--user', `${user}:wrong`, url], ['--user', `root:${password}`, url]]) {
      const answer = await curl(parameters)
      assert.deepEqual([answer.status, answer.headers.get('x-clickhouse-exception-code')], [403, '516'])
    }
    assert.equal((await curl([`${opened.url}/ping`])).text, 'Ok.\n')
  })

  test('a session keeps its temporary tables over several calls', async () => {
    const session = { session_id: `curl-${process.pid}` }
    await post('CREATE TEMPORARY TABLE mine (a UInt8)', session)
    await post('INSERT INTO mine VALUES (1), (2)', session)
    assert.equal((await post('SELECT sum(a) FROM mine', session)).text, '3\n')
    assert.equal((await post('SELECT sum(a) FROM mine')).status, 404)
  })
})

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream))
}

/** Takes apart what `curl --include` prints; interim answers such as 100 come before the last one. */
function readAnswer(printed: Buffer): Answer {
  let rest = printed
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    assert.notEqual(end, -1, rest.toString())
    const [first = '', ...lines] = rest.subarray(0, end).toString().split('\r\n')
    rest = rest.subarray(end + 4)
    const status = Number(first.split(' ')[1])
    if (status < 200) continue
    const headers = new Headers(
      lines.map((line): [string, string] => [
        line.slice(0, line.indexOf(':')),
        line.slice(line.indexOf(':') + 1),
      ]),
    )
    return { status, headers, body: rest, text: rest.toString() }
  }
}
