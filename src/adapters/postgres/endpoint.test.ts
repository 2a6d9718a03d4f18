import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { Secret } from '../../std/secret.ts'
import { databaseConfig, databaseContradictions } from './config.ts'
import { checkFacts } from './database.ts'
import { resolveEndpoints } from './endpoint.ts'

const configOf = (url: string, settings: Record<string, unknown> = {}) => ({
  ...databaseConfig.parse(settings),
  url: new Secret(url),
})
const resolve = (url: string, settings?: Record<string, unknown>) => resolveEndpoints(configOf(url, settings))
const isInvalid = (message: RegExp) => (error: unknown) => {
  assert(isRowmillError(error, 'CONFIG_INVALID'), String(error))
  assert.match(error.message, message)
  assert(!error.message.includes('hush'))
  return true
}

test('an address is told without user and password', async () => {
  const { main } = await resolve('postgres://me:hush@db.example/rowmill')
  assert.equal(main.address, 'db.example:5432')
  assert.equal(main.client.ssl, false)
  const socket = await resolve('postgres://me@/rowmill?host=/run/postgresql', { sslMode: 'require' })
  assert.equal(socket.main.address, '/run/postgresql')
  assert.equal(socket.main.client.ssl, false, 'a socket has no TLS')
})

test('a password of its own is used where the URL has none', async () => {
  const alone = await resolve('postgres://me@db/x', { password: 'p@s/s#?%' })
  assert.equal(new URL(alone.main.client.connectionString ?? '').password, 'p%40s%2Fs%23%3F%25')
  const both = await resolve('postgres://me:first@db/x', { password: 'second' })
  assert.equal(new URL(both.main.client.connectionString ?? '').password, 'first')
})

test('session settings go to PostgreSQL itself, and not to a pooler', async () => {
  const plain = await resolve('postgres://me@db/x', { statementTimeoutMs: 7 })
  assert.equal(plain.main.client.statement_timeout, 7)
  assert.equal(plain.direct, plain.main)
  const pooled = await resolve('postgres://me@pooler/x', {
    directUrl: 'postgres://me@db/x',
    statementTimeoutMs: 7,
  })
  assert.equal(pooled.main.client.statement_timeout, undefined)
  assert.equal(pooled.main.client.query_timeout, 7)
  assert.equal(pooled.direct.client.statement_timeout, 7)
  assert.equal(pooled.direct.address, 'db:5432')
})

test('what the URL says of TLS wins over settings, and wrong words are told', async () => {
  const off = await resolve('postgres://db/x?sslmode=disable', { sslMode: 'require' })
  assert.equal(off.main.client.ssl, false)
  const required = (await resolve('postgres://db/x?sslmode=require')).main.client
  assert(typeof required.ssl === 'object' && required.ssl.rejectUnauthorized === false)
  assert(!required.connectionString?.includes('sslmode'))
  const verified = await resolve('postgres://10.0.0.1/x', { sslRootCert: '-----BEGIN CERTIFICATE-----' })
  const { ssl } = verified.main.client
  assert(typeof ssl === 'object' && ssl.rejectUnauthorized === true)
  assert.equal(ssl.checkServerIdentity, undefined)
  assert('host' in ssl && ssl.host === '10.0.0.1')
  await assert.rejects(resolve('postgres://db/x?sslmode=on'), isInvalid(/sslmode=on; say one of/))
  await assert.rejects(resolve('postgres://db/x?sslmode=require&sslcert=/a'), isInvalid(/needs its key/))
})

test('URLs that cannot be read are refused, with what to do', async () => {
  await assert.rejects(resolve('postgres://me:hush%zz@db/x'), isInvalid(/percent-encode/))
  await assert.rejects(resolve('postgres://me:hush#hush@db/x'), isInvalid(/PGPASSWORD/))
  await assert.rejects(resolve('postgres://me:hush@a:5432,b:5432/x'), isInvalid(/several hosts/))
  await assert.rejects(
    resolve('postgres://a/x', { replicaUrl: 'postgres://b,c/x' }),
    isInvalid(/database\.replicaUrl \(DATABASE_READONLY_URL\)/),
  )
})

test('settings that contradict each other are told', () => {
  const said = (settings: Record<string, unknown>, url?: string) =>
    databaseContradictions({
      ...databaseConfig.parse(settings),
      ...(url === undefined ? {} : { url: new Secret(url) }),
    }).join(' ')
  assert.equal(said({}), '')
  assert.match(said({ directUrl: 'postgres://a/x' }), /database\.directUrl is set, but database\.url/)
  assert.match(said({ replicaUrl: 'postgres://a/x' }), /database\.replicaUrl is set/)
  assert.match(said({ sslCert: '/a' }, 'postgres://a/x'), /sslCert is set without database\.sslKey/)
  assert.match(said({ sslMode: 'disable', sslRootCert: '/a' }, 'postgres://a/x'), /PGSSLMODE/)
})

test('a server that is too old is refused with a sentence, and so is a pooler that drops settings', async () => {
  const config = configOf('postgres://db/x')
  const { main } = await resolveEndpoints(config)
  const check = (version: number, timeout_ms: number) =>
    checkFacts({ version, name: '14.9', timeout_ms }, { endpoint: main, config })
  assert.throws(
    () => check(140_009, config.statementTimeoutMs),
    isInvalid(
      /PostgreSQL 14\.9 at db:5432 is too old; set database\.url \(DATABASE_URL\) to a server of version 15/,
    ),
  )
  assert.throws(() => check(150_000, 0), isInvalid(/DATABASE_DIRECT_URL/))
  check(150_000, config.statementTimeoutMs)
})
