/** Each wrong value of each setting is an error that names the setting, where it came from, and the value. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configSchema } from './config.ts'
import { loadConfig } from './load.ts'
import { type Setting, settingsOf } from './settings.ts'

function messageOf(environment: Record<string, string>): string {
  try {
    loadConfig(configSchema, { environment })
  } catch (error) {
    assert.ok(error instanceof Error)
    return error.message
  }
  return 'nothing was refused'
}

function nameOf({ environmentNames }: Setting): string {
  return environmentNames.at(-1) ?? ''
}

const settings = settingsOf(configSchema)
const places = ['kafka', 'redis', 's3', 'database', 'warehouse', 'log', 'stream', 'ingest', 'capture']

test('a text where a number or a truth value belongs', () => {
  const typed = settings.filter(({ kind }) => kind === 'number' || kind === 'boolean')
  assert.ok(typed.length > 150)
  for (const setting of typed) {
    const said = messageOf({ [nameOf(setting)]: 'perhaps' })
    assert.match(said, new RegExp(setting.path.join('\\.')), said)
    assert.ok(said.includes(nameOf(setting)) && said.includes('"perhaps"'), said)
    assert.match(said, /must be (a number|true or false)/)
  }
})

test('a number below every bound', () => {
  const numbers = settings.filter(({ kind, path }) => kind === 'number' && places.includes(path[0] ?? ''))
  for (const setting of numbers) {
    const said = messageOf({ [nameOf(setting)]: '-2' })
    assert.ok(
      said.includes(setting.path.join('.')) && said.includes('-2'),
      `${setting.path.join('.')}: ${said}`,
    )
  }
})

suite('a text that cannot be', () => {
  const cases: [variable: string, value: string, says: RegExp][] = [
    ['KAFKA_HOSTS', 'kafka:99999', /kafka\.hosts .*must be one or more host:port/],
    ['KAFKA_HOSTS', 'kafka://a:9092', /kafka\.hosts .*host:port/],
    ['KAFKA_SECURITY_PROTOCOL', 'TLS', /kafka\.securityProtocol .*"PLAINTEXT"/],
    ['KAFKA_SASL_MECHANISM', 'oauth', /kafka\.saslMechanism .*"plain"/],
    ['KAFKA_PREFIX', 'a b', /kafka\.topicPrefix .*only letters/],
    ['KAFKA_TRUSTED_CERT_B64', 'abc', /kafka\.trustedCert .*must be a certificate/],
    ['REDIS_URL', 'http://redis', /redis\.url .*must be redis:/],
    ['OBJECT_STORAGE_BUCKET', 'My Bucket', /s3\.bucket .*name of a bucket/],
    ['OBJECT_STORAGE_ENDPOINT', 'minio:9000', /s3\.endpoint .*must be http:\/\/host:port/],
    ['DATABASE_URL', 'mysql://pg/rowmill', /database\.url .*must begin with postgres:\/\//],
    ['CLICKHOUSE_HOST', 'ch one', /warehouse\.url .*must be a host/],
    ['CLICKHOUSE_HOST', 'ch-1,,ch-2', /warehouse\.url .*must be a host/],
    ['CLICKHOUSE_DATABASE', 'my-db', /warehouse\.database .*letters, digits or _/],
    ['ROWMILL_ROLES', 'capture,captain', /There is no role captain; set roles to some of/],
  ]
  for (const [variable, value, says] of cases)
    test(`${variable}=${value}`, () => {
      const said = messageOf({ [variable]: value })
      assert.match(said, says)
      assert.match(said, new RegExp(`${variable}|There is no role`))
      const isSecret = settings.some((one) => one.isSecret && one.environmentNames.includes(variable))
      assert.equal(said.includes(isSecret ? '***' : value), said.includes(variable), said)
    })

  test('a secret is never shown', () => {
    for (const [variable, value] of [
      ['REDIS_URL', 'http://:hush@redis'],
      ['DATABASE_URL', 'mysql://u:hush@pg/rowmill'],
    ] as const) {
      const said = messageOf({ [variable]: value })
      assert.ok(!said.includes('hush'), said)
    }
  })
})
