/**
 * Hosts that fail: two addresses of one ClickHouse, so that both know the same rows and tokens, with proxies before
 * them that misbehave. Inserts with tokens end with the exact number of rows; queries end with the right answer or
 * an error, never with half an answer.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import type { Warehouse } from '../../../src/ports/warehouse.ts'
import { type Behaviour, openProxy, type TestProxy } from '../../support/engines/clickhouse/proxy.ts'
import { noClickHouse, openClickHouse, type TestClickHouse } from '../../support/engines/clickhouse.ts'
import { waitFor } from '../../support/wait-for.ts'

const isUnavailable = (error: unknown) => isRowmillError(error, 'WAREHOUSE_UNAVAILABLE')
const quick = { requestTimeoutMs: 1500, hostPauseMs: 20, hostPauseMsMax: 100 }
const bad = ['down', 'refuse', 'stall', 'stall-early', 'cut', 'cut-request', 'lose', 'repeat'] as const

type Bundle = AsyncDisposable & {
  server: TestClickHouse
  proxies: [TestProxy, TestProxy]
  warehouse: Warehouse
  count(): Promise<number>
}

describe('a ClickHouse of several hosts', { skip: noClickHouse }, () => {
  let shared: Promise<TestClickHouse> | undefined
  after(async () => (await shared)?.[Symbol.asyncDispose]())

  async function setup(settings: Record<string, unknown> = {}): Promise<Bundle> {
    shared ??= openClickHouse()
    await using stack = new AsyncDisposableStack()
    const server = (await shared).another()
    stack.defer(() => server[Symbol.asyncDispose]())
    const direct = stack.use(await server.open())
    await direct.command(
      'CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000',
    )
    const proxies: [TestProxy, TestProxy] = [
      stack.use(await openProxy(server.url)),
      stack.use(await openProxy(server.url)),
    ]
    const urls = proxies.map(({ url }) => url).join(',')
    const warehouse = stack.use(await server.open({ ...quick, ...settings }, urls))
    const owned = stack.move()
    return {
      ...{ server, proxies, warehouse },
      async count() {
        const [row] = await direct.query<{ n: string }>('SELECT count() AS n FROM t')
        return Number(row?.n)
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  }

  const insert = (warehouse: Warehouse, number: number, rows = 50) =>
    warehouse.insert({
      table: 't',
      format: 'JSONEachRow',
      body: Buffer.from(
        Array.from({ length: rows }, (_, index) => `{"id":${number * rows + index}}\n`).join(''),
      ),
      token: `t:0:${number * rows}-${(number + 1) * rows}`,
    })

  for (const behaviour of bad)
    test(`one host answers with ${behaviour}: nothing fails, no row is lost or doubled`, async () => {
      await using bundle = await setup({ isCompressed: behaviour === 'cut' })
      const { proxies, warehouse, count } = bundle
      for (const sick of proxies) {
        sick.behave = () => behaviour
        for (let number = 0; number < 4; number++) await insert(warehouse, number)
        const rows = await warehouse.query<{ id: string }>('SELECT id FROM t ORDER BY id')
        assert.deepEqual(
          rows.map(({ id }) => Number(id)),
          Array.from({ length: 200 }, (_, id) => id),
        )
        sick.behave = () => 'pass'
      }
      assert.equal(await count(), 200)
    })

  for (const behaviour of bad.filter((one) => one !== 'repeat'))
    test(`all hosts answer with ${behaviour}: an error that may pass, and a repetition with the token mends it`, async () => {
      await using bundle = await setup()
      const { proxies, warehouse, count } = bundle
      await insert(warehouse, 0)
      for (const proxy of proxies) proxy.behave = () => behaviour
      await assert.rejects(insert(warehouse, 1), isUnavailable)
      await assert.rejects(warehouse.query('SELECT id FROM t'), isUnavailable)
      await assert.rejects(warehouse.command('SELECT 1'), isUnavailable)
      for (const proxy of proxies) proxy.behave = () => 'pass'
      await insert(warehouse, 1)
      assert.equal(await count(), 100)
    })

  test('a long answer that is cut in the middle is an error, packed or not', async () => {
    for (const isCompressed of [false, true]) {
      await using bundle = await setup({ isCompressed })
      for (const proxy of bundle.proxies) proxy.behave = () => 'cut'
      const sql = 'SELECT number, randomPrintableASCII(20) AS text FROM numbers(50000)'
      await assert.rejects(bundle.warehouse.query(sql), isUnavailable)
      await assert.rejects(async () => {
        const stream = await bundle.warehouse.stream(sql, { format: 'TabSeparated' })
        for await (const chunk of stream) assert(chunk.length > 0)
      }, isUnavailable)
    }
  })

  test('what the hosts do is left to chance, and the sums are right', async () => {
    await using bundle = await setup({ requestTimeoutMs: 1000 })
    const { proxies, warehouse, count } = bundle
    // The seed is printed by whoever fails.
    let seed = Number(process.env.ROWMILL_TEST_SEED ?? 20_261_121)
    const chance = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed / 2_147_483_648
    }
    const choices: Behaviour[] = [
      'pass',
      'pass',
      'pass',
      'down',
      'refuse',
      'cut',
      'cut-request',
      'lose',
      'repeat',
    ]
    for (const proxy of proxies) proxy.behave = () => choices[Math.floor(chance() * choices.length)] ?? 'pass'
    const batches = Array.from({ length: 40 }, (_, number) => number)
    let answers = 0
    const work = async (own: readonly number[]): Promise<void> => {
      for (const number of own) {
        await waitFor(() => insert(warehouse, number).then(() => true), { withinMs: 60_000 })
        const rows = await warehouse
          .query<{ n: string }>('SELECT count() AS n FROM t')
          .catch((error: unknown) => {
            assert(isUnavailable(error), String(error))
          })
        if (rows === undefined) continue
        answers++
        assert.equal(Number(rows[0]?.n) % 50, 0, 'an insert is seen whole')
      }
    }
    await Promise.all([0, 1, 2].map((worker) => work(batches.filter((number) => number % 3 === worker))))
    assert.equal(await count(), 40 * 50)
    assert(answers > 0)
  })

  test('an insert without a token is not repeated where the host may have it', async () => {
    await using bundle = await setup()
    const { proxies, warehouse, count } = bundle
    for (const proxy of proxies) proxy.behave = () => 'lose'
    const body = Buffer.from('{"id":1}\n')
    await assert.rejects(warehouse.insert({ table: 't', format: 'JSONEachRow', body }), isUnavailable)
    assert.equal(await count(), 1)
    assert.equal(proxies[0].requests + proxies[1].requests, 2, 'the first made the database')
  })

  test('a sick host is left alone, asked for a sign of life, and comes back', async () => {
    await using bundle = await setup()
    const { proxies, warehouse } = bundle
    const ask = () => warehouse.query('SELECT 1')
    const [first, second] = proxies
    await ask()
    const preferred = first.requests > 0 ? first : second
    const other = preferred === first ? second : first
    preferred.behave = () => 'down'
    await ask()
    await ask()
    assert(other.requests >= 2)
    await waitFor(async () => {
      await ask()
      return preferred.pings >= 2
    })
    preferred.behave = () => 'pass'
    const before = preferred.requests
    await waitFor(async () => {
      await ask()
      return preferred.requests > before + 1
    })
  })

  test('an error of the statement itself goes to nobody else', async () => {
    await using bundle = await setup()
    const { proxies, warehouse } = bundle
    const before = proxies[0].requests + proxies[1].requests
    await assert.rejects(warehouse.query('SELECT nonsense FROM t'), (error) =>
      isRowmillError(error, 'WAREHOUSE_REFUSED'),
    )
    assert.equal(proxies[0].requests + proxies[1].requests, before + 1)
  })

  test('a host that is killed and paused under load loses and doubles nothing', async () => {
    await using server = await openClickHouse({ isOwn: true })
    await using warehouse = await server.open({ requestTimeoutMs: 3000 })
    await warehouse.command(
      'CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1',
    )
    const progress = { done: 0, failures: 0 }
    const work = async () => {
      for (let number = 0; number < 60; number++) {
        await waitFor(
          async () => {
            try {
              await insert(warehouse, number)
              return true
            } catch (error) {
              assert(isUnavailable(error), String(error))
              progress.failures++
              return false
            }
          },
          { withinMs: 60_000 },
        )
        progress.done++
      }
    }
    const working = work()
    await waitFor(() => progress.done >= 10)
    server.kill()
    await waitFor(() => progress.done >= 30, { withinMs: 60_000 })
    server.pause()
    server.resume()
    server.kill()
    await working
    const [row] = await warehouse.query<{ n: string; ids: string }>(
      'SELECT count() AS n, uniqExact(id) AS ids FROM t',
    )
    assert.deepEqual(row, { n: String(60 * 50), ids: String(60 * 50) })
    assert(progress.failures > 0)
  })

  test('an abort ends a request that stalls, with the reason of its signal', async () => {
    await using bundle = await setup()
    for (const proxy of bundle.proxies) proxy.behave = () => 'stall'
    const abort = new AbortController()
    const asked = bundle.warehouse.query('SELECT 1', { signal: abort.signal })
    await waitFor(() => bundle.proxies.some(({ requests }) => requests > 1))
    abort.abort(new Error('enough'))
    await assert.rejects(asked, { message: 'enough' })
  })
})
