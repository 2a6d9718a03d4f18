/** The Warehouse's contract in the ways in which it is reached: plain, packed, over TLS, by several hosts. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { warehouseConfigSchema } from '../../../src/adapters/clickhouse/config.ts'
import { openWarehouse } from '../../../src/adapters/clickhouse/warehouse.ts'
import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import { isRowmillError, RowmillError } from '../../../src/errors/rowmill-error.ts'
import { warehouseContract } from '../../../src/ports/warehouse.contract.ts'
import { makeCertificates } from '../../support/engines/certificates.ts'
import { openProxy, openTlsRelay } from '../../support/engines/clickhouse/proxy.ts'
import { noClickHouse, openClickHouse, type TestClickHouse } from '../../support/engines/clickhouse.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { tempDir } from '../../support/temp-dir.ts'

type Place = { url?: string; settings?: Record<string, unknown> }

/** The server is one for all files, where the run names one; each case has a database of its own. */
function exercise(
  name: string,
  place: (server: TestClickHouse, stack: AsyncDisposableStack) => Promise<Place>,
): void {
  describe(`the Warehouse ${name}`, { skip: noClickHouse }, () => {
    let own: Promise<TestClickHouse> | undefined
    after(async () => (await own)?.[Symbol.asyncDispose]())
    warehouseContract(async () => {
      own ??= openClickHouse()
      await using stack = new AsyncDisposableStack()
      const shared = await own
      const server = shared.another()
      const { url, settings } = await place(server, stack)
      const warehouse = stack.use(await server.open(settings, url))
      stack.defer(() => server[Symbol.asyncDispose]())
      const owned = stack.move()
      return { warehouse, [Symbol.asyncDispose]: () => owned.disposeAsync() }
    })
  })
}

exercise('as it is', async () => ({}))

exercise('packed both ways', async () => ({ settings: { isCompressed: true } }))

exercise('over TLS', async ({ url }, stack) => {
  const tls = await makeCertificates(stack.use(await tempDir()).path)
  return { url: stack.use(await openTlsRelay(url, tls)).url, settings: { caCert: tls.caFile } }
})

exercise('with a second host that is down', async ({ url }, stack) => {
  const down = stack.use(await openProxy(url, { behave: () => 'down' }))
  return { url: `${url},${down.url}` }
})

describe('TLS to ClickHouse', { skip: noClickHouse }, () => {
  test('is refused, with what to do, where the authority is another or the names do not fit', async () => {
    await using stack = new AsyncDisposableStack()
    const server = stack.use(await openClickHouse())
    const folder = stack.use(await tempDir()).path
    const tls = await makeCertificates(folder)
    const other = await makeCertificates(folder, 'other')
    const relay = stack.use(await openTlsRelay(server.url, tls))
    const says = (message: RegExp) => (error: unknown) =>
      error instanceof RowmillError && message.test(error.message)
    const advice = says(/give the authority of its certificate in warehouse\.caCert \(CLICKHOUSE_CA\)/i)
    await assert.rejects(server.open({}, relay.url), advice)
    await assert.rejects(server.open({ caCert: other.caFile }, relay.url), advice)
    await assert.rejects(
      server.open({ caCert: '/nowhere.pem' }, relay.url),
      says(/CLICKHOUSE_CA\) names \/nowhere\.pem/),
    )
    await assert.rejects(server.open({ caCert: '/etc/hostname' }, relay.url), says(/is no PEM file/))
    await assert.rejects(server.open({}, relay.url.replace('https', 'http')), says(/could not be reached/))
    await assert.rejects(server.open({}, server.url.replace('http', 'https')), says(/Whether TLS is spoken/))
    stack.use(await server.open({ isVerified: false }, relay.url))
    stack.use(await server.open({ caCert: tls.caFile }, relay.url.replace('127.0.0.1', 'localhost')))
  })

  test('a wrong password is refused with the settings to correct, and told nowhere', async () => {
    await using server = await openClickHouse()
    const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
    const opening = openWarehouse(ground, {
      ...warehouseConfigSchema.parse({}),
      ...{ url: server.url, user: server.user, password: 'hush-hush', database: server.database },
    })
    await assert.rejects(opening, (error) => {
      assert(isRowmillError(error, 'WAREHOUSE_REFUSED'))
      assert.match(error.message, /Correct warehouse\.user \(CLICKHOUSE_USER\) or warehouse\.password/)
      assert(!error.message.includes('hush'))
      return true
    })
  })
})
