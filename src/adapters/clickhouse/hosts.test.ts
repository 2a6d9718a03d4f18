import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { warehouseConfigSchema, warehouseContradictions } from './config.ts'
import { createHosts, readHosts } from './hosts.ts'

test('hosts are read with their ports and schemes', () => {
  const plain = { isSecure: false }
  assert.deepEqual(readHosts('ch', plain), ['http://ch:8123'])
  assert.deepEqual(readHosts('ch', { isSecure: true }), ['https://ch:8443'])
  assert.deepEqual(readHosts(' a, b:9123 ,https://c:8443/ch/', plain), [
    'http://a:8123',
    'http://b:9123',
    'https://c:8443/ch',
  ])
  assert.deepEqual(readHosts('[::1]:8123', plain), ['http://[::1]:8123'])
})

test('a wrong host is refused with the setting, the value and the fix', () => {
  for (const [text, why] of [
    [' , ', /is empty/],
    ['a,a:8123', /is there twice/],
    ['tcp://a', /neither http:\/\/ nor https:\/\//],
    ['a b', /is no host/],
    ['http://me:hush@a', /CLICKHOUSE_PASSWORD/],
    ['http://a/?database=x', /parameters/],
    ['a:9000', /native protocol/],
  ] as const)
    assert.throws(
      () => readHosts(text, { isSecure: false }),
      (error) => {
        assert(isRowmillError(error, 'CONFIG_INVALID'))
        assert.match(error.message, /warehouse\.url \(CLICKHOUSE_HOST\)/)
        assert.match(error.message, why)
        assert(!error.message.includes('hush'))
        return true
      },
    )
})

test('settings that contradict each other are told', () => {
  const said = (settings: Record<string, unknown>, more: { url?: string; isSecure?: boolean } = {}) =>
    warehouseContradictions({ ...warehouseConfigSchema.parse(settings), ...more }).join(' ')
  assert.equal(said({}), '')
  assert.equal(said({ cluster: 'c', insertQuorum: 'auto' }, { url: 'a,b' }), '')
  assert.equal(said({ caCert: '/ca.pem' }, { url: 'a', isSecure: true }), '')
  assert.match(said({ cluster: 'c' }), /CLICKHOUSE_CLUSTER.*embedded/)
  assert.match(said({}, { url: 'a,b' }), /2 hosts.*set warehouse\.cluster/)
  assert.match(said({}, { url: 'a:9000' }), /"a:9000" has the port of ClickHouse's native protocol/)
  assert.match(said({ insertQuorum: '2' }, { url: 'a' }), /insertQuorum is 2/)
  assert.match(said({ caCert: '/ca.pem' }, { url: 'a' }), /without TLS/)
  assert.match(said({ isVerified: false }, { url: 'a' }), /CLICKHOUSE_VERIFY.*without TLS/)
  assert.match(said({ caCert: '/ca.pem', isVerified: false }, { url: 'https://a' }), /nobody would ask it/)
  assert.match(said({ hostPauseMs: 10, hostPauseMsMax: 5 }), /hostPauseMsMax \(5\)/)
})

function setup(chance = 0) {
  const clock = createManualClock()
  const pings: string[] = []
  const state = { isThere: false }
  const hosts = createHosts(
    { clock, random: { next: () => chance, bytes: (count) => Buffer.alloc(count) }, ...quietTelemetry() },
    {
      urls: ['a', 'b', 'c'],
      hostPauseMs: 1000,
      hostPauseMsMax: 4000,
      ping: async (host) => {
        pings.push(host)
        return state.isThere
      },
    },
  )
  return { clock, hosts, pings, state }
}

test('processes begin with different hosts, and each stays with its own', () => {
  assert.deepEqual(setup(0).hosts.candidates(), ['a', 'b', 'c'])
  const { hosts } = setup(0.5)
  assert.deepEqual(hosts.candidates(), ['b', 'c', 'a'])
  assert.deepEqual(hosts.candidates(), ['b', 'c', 'a'])
})

test('a sick host comes last, for pauses that double up to a bound, and is asked before it comes back', async () => {
  const { clock, hosts, pings, state } = setup()
  hosts.isSick('a')
  for (const pauseMs of [500, 1000, 2000, 2000]) {
    const before = pings.length
    clock.advance(pauseMs - 1)
    assert.deepEqual(hosts.candidates(), ['b', 'c', 'a'])
    assert.equal(pings.length, before)
    clock.advance(1)
    hosts.candidates()
    assert.deepEqual(hosts.candidates(), ['b', 'c', 'a'], 'one sign of life is asked for at a time')
    assert.equal(pings.length, before + 1)
    await new Promise(setImmediate)
  }
  state.isThere = true
  clock.advance(2000)
  hosts.candidates()
  await waitFor(() => hosts.candidates()[0] === 'a')
})

test('where all are sick, all are tried, the one that rests the longest last', () => {
  const { clock, hosts } = setup()
  for (const host of ['a', 'b', 'c']) {
    hosts.isSick(host)
    clock.advance(10)
  }
  hosts.isSick('a')
  assert.deepEqual(hosts.candidates(), ['b', 'c', 'a'])
  hosts.isWell('c')
  assert.deepEqual(hosts.candidates(), ['c', 'b', 'a'])
})
