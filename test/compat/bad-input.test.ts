/** What no client should send: never a 5xx, never a crash, always a clear answer, and the server goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import lzString from 'lz-string'
import { openCapture } from './capture-fixture.ts'

const paths = ['/e/', '/i/v0/e', '/capture/', '/track/', '/engage/', '/batch/'] as const
const types = ['application/json', 'text/plain', 'application/x-www-form-urlencoded', ''] as const
const good = JSON.stringify({ token: 't', event: 'e', distinct_id: 'd', properties: { a: [1, { b: null }] } })

type Capture = Awaited<ReturnType<typeof openCapture>>

async function send(
  capture: Capture,
  path: string,
  body: Uint8Array<ArrayBuffer>,
  type: string = types[0],
): Promise<number> {
  const answer = await capture.post(path, body, type === '' ? {} : { 'content-type': type })
  assert.ok(answer.status < 500, `${answer.status} ${answer.text}`)
  assert.ok([200, 204, 400, 401, 413].includes(answer.status), String(answer.status))
  if (answer.status >= 400) {
    assert.ok(answer.text.length > 0 && answer.text.length < 500)
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
  }
  return answer.status
}

async function assertAlive(capture: Capture): Promise<void> {
  assert.equal(await send(capture, '/e/', Buffer.from(good)), 200)
}

test('random bytes and damaged requests are refused or taken, and nothing else', async () => {
  await using capture = await openCapture()
  const whole = Buffer.from(good)
  const packed = gzipSync(good)
  const damaged = fc
    .tuple(
      fc.constantFrom(whole, packed, Buffer.from(whole.toString('base64'))),
      fc.nat(400),
      fc.nat(255),
      fc.nat(400),
    )
    .map(([source, at, byte, cut]) => {
      const copy = Buffer.from(source)
      copy[at % copy.length] = byte
      return cut < 100 ? copy.subarray(0, cut) : copy
    })
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    damaged,
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.constantFrom(...types),
      body,
      async (path, type, bytes) => {
        await send(capture, path, bytes, type)
      },
    ),
    { numRuns: 600 },
  )
  await assertAlive(capture)
})

test('wrong types everywhere are refused or taken, and nothing else', async () => {
  await using capture = await openCapture()
  const any = fc.jsonValue({ maxDepth: 3 })
  const names = [
    'token',
    'api_key',
    '$token',
    'event',
    'distinct_id',
    '$distinct_id',
    'uuid',
    'properties',
    'timestamp',
    'offset',
    '$set',
    '$set_once',
    'batch',
    'sent_at',
    'historical_migration',
  ]
  const inner = fc.dictionary(
    fc.constantFrom(
      '$heatmap_data',
      '$cookieless_mode',
      '$ignore_sent_at',
      'token',
      'distinct_id',
      '$current_url',
      '$prev_pageview_pathname',
      '__proto__',
      'constructor',
      'toString',
    ),
    any,
  )
  const event = fc
    .tuple(fc.dictionary(fc.constantFrom(...names), any), inner, fc.boolean())
    .map(([fields, properties, has]) =>
      has ? { token: 't', event: 'e', distinct_id: 'd', ...fields, properties } : fields,
    )
  const request = fc.oneof(
    event,
    fc.array(event, { maxLength: 4 }),
    event.map((one) => ({ api_key: 't', batch: [one] })),
  )
  let taken = 0
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), request, async (path, value) => {
      if ((await send(capture, path, Buffer.from(JSON.stringify(value)))) === 200) taken++
    }),
    { numRuns: 800 },
  )
  assert.ok(taken > 0, 'some of the requests were good')
  await assertAlive(capture)
})

test('100 000 levels of nesting are refused on every route and in every wrapping', async () => {
  await using capture = await openCapture()
  const depth = 100_000
  const texts = [
    `${'['.repeat(depth)}${']'.repeat(depth)}`,
    `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
    `{"token":"t","event":"e","distinct_id":${'['.repeat(depth)}${']'.repeat(depth)}}`,
    `{"token":"t","event":"e","distinct_id":"d","properties":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`,
    '['.repeat(depth),
  ]
  for (const text of texts)
    for (const body of [Buffer.from(text), gzipSync(text)])
      for (const path of paths) assert.equal(await send(capture, path, body), 400)
  await assertAlive(capture)
})

test('bombs are 413, whatever they are packed with', async () => {
  await using capture = await openCapture()
  const huge = `{"token":"t","event":"e","distinct_id":"d","properties":{"x":"${'a'.repeat(30_000_000)}"}}`
  const gzip = gzipSync(huge)
  assert.ok(gzip.length < 100_000)
  assert.equal(await send(capture, '/e/', gzip), 413)
  assert.equal(await send(capture, '/batch/', Buffer.from(gzip.toString('base64'))), 413)
  assert.equal(await send(capture, '/e/', Buffer.alloc(21_000_000, 0x20)), 413)
  await assertAlive(capture)
  await using small = await openCapture({ config: { payloadBytesMax: 100_000 } })
  const lz = lzString.compressToBase64('a'.repeat(300_000))
  assert.ok(lz.length < 10_000)
  assert.equal(await send(small, '/e/?compression=lz64', Buffer.from(lz)), 413)
  await assertAlive(small)
})

test('texts of a megabyte are taken where they fit a message and 413 where they do not', async () => {
  await using capture = await openCapture()
  const long = 'ä'.repeat(499_000)
  const cases: [Record<string, unknown>, number][] = [
    [{ properties: { long: 'x'.repeat(990_000) } }, 200],
    [{ properties: { long: 'x'.repeat(1_048_576) } }, 413],
    [{ properties: { long } }, 200],
    [{ properties: { long: '\u0001'.repeat(300_000) } }, 413],
    [{ event: 'e'.repeat(1_048_576) }, 413],
    [{ timestamp: '2'.repeat(1_048_576) }, 413],
    [{ token: 't'.repeat(1_048_576) }, 401],
    [{ uuid: '0'.repeat(1_048_576) }, 400],
    [{ distinct_id: ' '.repeat(1_048_576) }, 400],
  ]
  for (const [fields, status] of cases) {
    const body = JSON.stringify({ token: 't', event: 'e', distinct_id: 'd', ...fields })
    assert.equal(await send(capture, '/batch/', Buffer.from(body)), status, Object.keys(fields).join())
  }
  await assertAlive(capture)
})

test('broken text is refused: bad UTF-8, control characters, half escapes', async () => {
  await using capture = await openCapture()
  const bodies: [Buffer<ArrayBuffer>, number][] = [
    [Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 400],
    [Buffer.from(`{"token":"t","event":"a\u0001","distinct_id":"d"}`), 400],
    [Buffer.from(String.raw`{"token":"t","event":"a\u12","distinct_id":"d"}`), 400],
    [Buffer.from(String.raw`{"token":"t","event":"\ud83d","distinct_id":"\udc00\ud83d"}`), 200],
    [Buffer.from('\ufeff{"token":"t","event":"e","distinct_id":"d"}'), 400],
    [Buffer.from('NaN'), 400],
    [Buffer.from('null'), 400],
    [Buffer.from('"text"'), 400],
  ]
  for (const [body, status] of bodies)
    assert.equal(await send(capture, '/e/', body), status, body.toString('latin1'))
  await assertAlive(capture)
})

test('strange queries and methods get a clear answer', async () => {
  await using capture = await openCapture()
  for (const query of [
    '?data=%',
    '?data=%ff%fe',
    '?_=abc',
    '?compression=',
    '?beacon=2&_=99999999999999999999',
    '?&&&=&',
    '?data=====',
  ]) {
    const response = await fetch(`${capture.url}/e/${query}`, { method: 'POST', body: good })
    await response.text()
    assert.ok(response.status === 200 || response.status === 400, `${query} ${response.status}`)
  }
  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    const response = await fetch(`${capture.url}/e/`, { method, body: good })
    await response.text()
    assert.equal(response.status, 405)
  }
  await assertAlive(capture)
})
