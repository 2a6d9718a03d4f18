import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { openTestWarehouse } from '../../../test/support/warehouse.ts'
import { warehouseConfigSchema } from '../../adapters/clickhouse/config.ts'
import { openWarehouse } from '../../adapters/clickhouse/warehouse.ts'
import { embeddedCacheConfig } from '../../adapters/embedded/cache/config.ts'
import { openEmbeddedCache } from '../../adapters/embedded/cache.ts'
import { createSystemClock } from '../../adapters/embedded/clock.ts'
import { createSystemRandom } from '../../adapters/embedded/random.ts'
import { httpConfigSchema } from '../../http/config.ts'
import { openHttpServer } from '../../http/http.ts'
import { replacerConfig } from '../replace/config.ts'
import { findStorage } from '../storage/read-storage.ts'
import { processorConfig } from '../user/config.ts'
import { testingConfig } from './config.ts'
import { createNamespaces } from './namespaces.ts'
import { createTestingRoutes } from './testing.ts'

const payload = (path: string) =>
  readFileSync(new URL(`../../../test/processors/payloads/${path}`, import.meta.url), 'utf8')

const event = payload('errors/everyday-message.json')
const counter = payload('metrics_raw/everyday-counter.json')

type Answer = { status: number; text: string; headers: Headers }

/** A server with the routes, on a database and namespaces of the test's own. */
async function openRoutes() {
  await using stack = new AsyncDisposableStack()
  const opened = stack.use(await openTestWarehouse())
  const { database } = stack.use(await openTestDatabase({ isMigrated: true }))
  const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  const cache = stack.use(await openEmbeddedCache({ ...ground, database }, embeddedCacheConfig.parse({})))
  const config = testingConfig.parse({ database: `${opened.database}_routes` })
  const { url, user, password } = opened
  const namespaces = createNamespaces(
    (name) =>
      openWarehouse(ground, { ...warehouseConfigSchema.parse({}), url, user, password, database: name }),
    config,
  )
  stack.defer(async () => {
    const databases = await opened.warehouse.query<{ name: string }>(
      'select name from system.databases where startsWith(name, {start:String})',
      { parameters: { start: config.database } },
    )
    for (const { name } of databases) await opened.warehouse.command(`DROP DATABASE \`${name}\` SYNC`)
  })
  stack.use(namespaces)
  const storages = new Map(
    await Promise.all(
      ['errors', 'metrics_raw'].map(async (name) => [name, await findStorage(name)] as const),
    ),
  )
  const routes = createTestingRoutes(
    { ...ground, cache, namespaces, findStorage: async (name) => storages.get(name) },
    config,
    {
      replacer: replacerConfig.parse({ memoryBytesMax: 500_000_000 }),
      processor: processorConfig.parse({}),
      live: () => () => ({}),
      signal: new AbortController().signal,
    },
  )
  const settings = { ...httpConfigSchema.parse({}), host: '127.0.0.1', port: 0 }
  const server = stack.use(await openHttpServer(ground, settings, routes))
  const owned = stack.move()
  return {
    database: config.database,
    async send(path: string, body: string | FormData, headers: Record<string, string> = {}): Promise<Answer> {
      const typed = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
      const method = path.startsWith('/tests/namespaces/') ? 'DELETE' : 'POST'
      const sent = method === 'POST' ? { body } : {}
      const response = await fetch(`${server.address.url}${path}`, {
        method,
        ...sent,
        headers: { ...typed, ...headers },
      })
      return { status: response.status, text: await response.text(), headers: response.headers }
    },
    count: async (table: string, where = '1', name = config.database) => {
      const [row] = await opened.warehouse.query<{ n: string }>(
        `select count() as n from \`${name}\`.${table} final where ${where}`,
      )
      return Number(row?.n)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const isOk = (answer: Answer) => assert.deepEqual([answer.status, answer.text], [200, 'ok'])

test('messages of an entity are rows when the answer comes; dropping its dataset deletes them', async () => {
  await using routes = await openRoutes()
  isOk(await routes.send('/tests/entities/events/insert', `[${event}]`))
  assert.equal(await routes.count('errors_local'), 1)
  isOk(await routes.send('/tests/events/drop', ''))
  assert.equal(await routes.count('errors_local'), 0)
})

test('raw messages come as files of a form', async () => {
  await using routes = await openRoutes()
  const form = new FormData()
  form.append('item_0', new Blob([event]), 'item_0')
  isOk(await routes.send('/tests/entities/events/insert_bytes', form))
  assert.equal(await routes.count('errors_local'), 1)
})

test('an event stream takes an event, and then a change of it', async () => {
  await using routes = await openRoutes()
  isOk(await routes.send('/tests/events/eventstream', event))
  assert.equal(await routes.count('errors_local', 'not deleted'), 1)
  const { project_id, group_id } = (JSON.parse(event) as [number, string, Record<string, number>])[2]
  const change = { project_id, group_ids: [group_id], datetime: '2100-01-01T00:00:00.000000Z' }
  isOk(await routes.send('/tests/events/eventstream', JSON.stringify([2, 'end_delete_groups', change])))
  assert.equal(await routes.count('errors_local', 'not deleted'), 0)
})

test('a version that is not known is an error with its reason, and writes nothing', async () => {
  await using routes = await openRoutes()
  const { status, text } = await routes.send('/tests/events/eventstream', event.replace('2', '3'))
  assert.equal(status, 500)
  assert.equal((JSON.parse(text) as { error: { type: string } }).error.type, 'MESSAGE_REJECTED')
})

test('by storage the answer says what became of each message', async () => {
  await using routes = await openRoutes()
  const answer = await routes.send('/tests/storages/errors/insert', `[${event},{"no":"event"},${event}]`)
  assert.equal(answer.status, 200)
  const told = JSON.parse(answer.text) as Record<string, unknown> & {
    offsets: number[]
    rejected: { index: number; reason: string }[]
  }
  assert.equal(told.rows, 2)
  assert.equal(told.database, routes.database)
  assert.equal(told.offsets.length, 3)
  assert.deepEqual(
    told.rejected.map(({ index, reason }) => [index, reason]),
    [[1, 'invalid_message']],
  )
  const whole = await routes.send('/tests/storages/errors/insert?whole=1', `[${event},{"no":"event"}]`, {
    'rowmill-namespace': 'whole',
  })
  assert.equal(whole.status, 500)
  assert.match(whole.text, /Message 1 was rejected/)
  assert.equal(await routes.count('errors_local', '1', `${routes.database}_whole`), 0)
})

test('lines of NDJSON, and the schema of the topic in front', async () => {
  await using routes = await openRoutes()
  const answer = await routes.send(
    '/tests/storages/metrics_raw/insert?schema=1',
    `${counter.replaceAll('\n', ' ')}\n{}\n`,
    {
      'content-type': 'application/x-ndjson',
    },
  )
  const told = JSON.parse(answer.text) as { rows: number; rejected: { reason: string; index: number }[] }
  assert.equal(told.rows, 1)
  assert.deepEqual(
    told.rejected.map(({ index, reason }) => [index, reason]),
    [[1, 'schema_violated']],
  )
})

test('namespaces do not see each other, and are gone when they are dropped', async () => {
  await using routes = await openRoutes()
  const inNamespace = (name: string) => ({ 'rowmill-namespace': name })
  isOk(await routes.send('/tests/entities/events/insert', `[${event}]`, inNamespace('a')))
  isOk(await routes.send('/tests/entities/events/insert', `[${event}]`, inNamespace('b')))
  isOk(await routes.send('/tests/events/drop', '', inNamespace('a')))
  assert.equal(await routes.count('errors_local', '1', `${routes.database}_a`), 0)
  assert.equal(await routes.count('errors_local', '1', `${routes.database}_b`), 1)
  isOk(await routes.send('/tests/namespaces/b', ''))
  isOk(await routes.send('/tests/entities/events/insert', `[${event}]`, inNamespace('b')))
  assert.equal(await routes.count('errors_local', '1', `${routes.database}_b`), 1)
  const wrong = await routes.send('/tests/events/drop', '', inNamespace('no way'))
  assert.equal(wrong.status, 400)
})

test('the same key gives the first answer and writes once, also side by side', async () => {
  await using routes = await openRoutes()
  const once = { 'idempotency-key': 'k1' }
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => routes.send('/tests/storages/metrics_raw/insert', `[${counter}]`, once)),
  )
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
  assert.equal(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true').length, 3)
  const other = await routes.send('/tests/storages/metrics_raw/insert', `[${counter}]`)
  assert.notEqual(other.text, answers[0]?.text)
})

test('the clock stands where the request says', async () => {
  await using routes = await openRoutes()
  const time = { 'rowmill-time': '2001-02-03T04:05:06Z' }
  const { text } = await routes.send('/tests/storages/metrics_raw/insert', `[${counter}]`, time)
  assert.deepEqual((JSON.parse(text) as { offsets: number[] }).offsets, [Date.parse('2001-02-03T04:05:06Z')])
  const wrong = await routes.send('/tests/storages/metrics_raw/insert', `[${counter}]`, {
    'rowmill-time': 'soon',
  })
  assert.equal(wrong.status, 400)
})

test('what does not exist and what is no list of messages is refused with a sentence', async () => {
  await using routes = await openRoutes()
  assert.equal((await routes.send('/tests/entities/nothing/insert', '[]')).status, 404)
  assert.equal((await routes.send('/tests/nothing/drop', '')).status, 404)
  assert.equal((await routes.send('/tests/entities/events/insert', '{"a":1}')).status, 400)
})
