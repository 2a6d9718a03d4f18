/** Which roles start on which engines, and what is said where they cannot. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configSchema } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { needsDataDir, needsOf } from '../needs.ts'
import { doubtfulCombinations } from './combinations.ts'

const kafka = { KAFKA_HOSTS: 'kafka-1:9092,kafka-2:9092' }
const redis = { REDIS_URL: 'redis://redis:6379' }
const postgres = { DATABASE_URL: 'postgres://rowmill@pg/rowmill' }
const clickhouse = { CLICKHOUSE_HOST: 'http://ch:8123' }
const s3 = { OBJECT_STORAGE_BUCKET: 'rowmill' }
const stores = { ...kafka, ...redis, ...postgres, ...clickhouse }

function load(roles: string | undefined, environment: Record<string, string>) {
  return loadConfig(configSchema, { environment, flags: roles === undefined ? {} : { roles } }).config
}

suite('refused', () => {
  const cases: [roles: string, environment: Record<string, string>, says: RegExp][] = [
    ['capture', {}, /runs capture without ingest and datasets, .* set KAFKA_HOSTS/],
    ['capture,api', postgres, /runs capture without ingest and datasets/],
    ['ingest', { ...redis, ...postgres }, /runs ingest without capture and datasets, .* set KAFKA_HOSTS/],
    ['ingest,datasets,api', {}, /runs ingest and datasets without capture/],
    ['api', { ...postgres, ...clickhouse }, /runs api alone, and its embedded log .* set KAFKA_HOSTS/],
    ['ingest', { ...kafka, ...redis }, /runs ingest on Kafka, .* set DATABASE_URL/],
    ['datasets', { ...kafka, ...clickhouse }, /runs datasets on Kafka, .* PostgreSQL .* set DATABASE_URL/],
    ['datasets', { ...kafka, ...postgres }, /runs datasets on Kafka, .* set CLICKHOUSE_HOST/],
    ['api', { ...kafka, ...postgres }, /runs api on Kafka, .* set CLICKHOUSE_HOST/],
    ['ingest,datasets', { ...kafka, ...redis }, /runs ingest and datasets on Kafka, .* set DATABASE_URL/],
    ['ingest', { ...kafka, ...postgres }, /runs ingest beside others on Kafka, .* set REDIS_URL/],
    ['ingest,captain', stores, /There is no role captain; set roles to some of/],
  ]
  for (const [roles, environment, says] of cases)
    test(`${roles} with ${Object.keys(environment).join(', ') || 'nothing set'}`, () => {
      assert.throws(() => load(roles, environment), says)
      const isKnown = !roles.includes('captain')
      if (isKnown) assert.ok(load(roles, { ...environment, ROWMILL_IS_PARTIAL_ALLOWED: '1' }))
    })
})

suite('accepted', () => {
  const cases: [roles: string | undefined, environment: Record<string, string>, doubts: RegExp[]][] = [
    [undefined, {}, []],
    ['capture,ingest,datasets', {}, []],
    ['consumer', {}, []],
    ['capture', { NOOP_SINK: '1' }, []],
    [undefined, { ...stores, ...s3 }, []],
    [
      undefined,
      kafka,
      [/a second process cannot join/, /capture runs without Redis/, /without an object store/],
    ],
    ['capture', { ...kafka, ...redis, ...s3 }, []],
    ['capture', kafka, [/capture runs without Redis/, /without an object store/]],
    ['ingest', { ...kafka, ...redis, ...postgres }, []],
    ['datasets', { ...stores, ...s3 }, []],
    ['api', stores, []],
  ]
  for (const [roles, environment, doubts] of cases)
    test(`${roles ?? 'all roles'} with ${Object.keys(environment).join(', ') || 'nothing set'}`, () => {
      const said = doubtfulCombinations(load(roles, environment))
      assert.equal(said.length, doubts.length, said.join('\n'))
      for (const [index, doubt] of doubts.entries()) assert.match(said[index] ?? '', doubt)
    })
})

suite('needs', () => {
  const cases: [roles: string, needs: string[], hasDataDir: boolean][] = [
    ['capture', ['log', 'cache', 'blobs'], false],
    ['ingest', ['log', 'database', 'cache'], false],
    ['datasets', ['log', 'database', 'warehouse', 'blobs'], false],
    ['api', ['log', 'database', 'warehouse'], false],
  ]
  for (const [roles, needs, hasDataDir] of cases)
    test(`${roles} opens ${needs.join(', ')}`, () => {
      const config = load(roles, { ...stores, ...s3 })
      assert.deepEqual([...needsOf(config)], needs)
      assert.equal(needsDataDir(config), hasDataDir)
    })

  test('the role consumer without storages adds nothing, and capture that prints needs no log', () => {
    assert.deepEqual(
      [...needsOf(load('capture,consumer', { ...kafka, ...redis }))],
      ['log', 'cache', 'blobs'],
    )
    assert.deepEqual([...needsOf(load('capture', { PRINT_SINK: '1' }))], ['cache', 'blobs'])
    assert.equal(needsDataDir(load('capture', { ...kafka, ...redis })), true)
  })
})
