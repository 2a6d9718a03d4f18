/** How connections come about, and what is said when they do not. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { noPgBouncer, openPgBouncer } from '../../support/engines/pgbouncer.ts'
import { noPostgres, openPostgres, readPem } from '../../support/engines/postgres.ts'
import { freePort } from '../../support/engines/redis.ts'
import { changed, isInvalid, isUnavailable, openOn } from './support.ts'

const skip = noPostgres

async function isEncrypted(url: string, settings: Record<string, unknown>): Promise<boolean> {
  await using database = await openOn(url, settings)
  const [row] = await database.query<{ ssl: boolean }>(
    'select ssl from pg_stat_ssl where pid = pg_backend_pid()',
  )
  return row?.ssl === true
}

const quick = { connectTimeoutMs: 300 }
const unreachable = (message: RegExp) => (error: unknown) =>
  isUnavailable(error) && isRowmillError(error) && message.test(error.message)

test('TLS in every mode, from the URL and from settings', { skip }, async (context: TestContext) => {
  await using server = await openPostgres({ isTls: true })
  const bare = changed(server.url, (url) => {
    url.search = ''
  })
  const pem = await readPem(server.caFile)
  const say = (mode: string) =>
    changed(bare, (url) => {
      url.search = `?sslmode=${mode}`
    })
  await context.test('verified', async () => {
    assert(await isEncrypted(bare, { sslRootCert: server.caFile }), 'verify-full by default')
    assert(await isEncrypted(bare, { sslMode: 'verify-full', sslRootCert: pem }), 'PEM text')
    assert(await isEncrypted(server.url, { sslMode: 'disable' }), 'the URL wins')
    assert(await isEncrypted(say('verify-ca'), { sslRootCert: server.caFile }))
    const byName = changed(bare, (url) => {
      url.hostname = 'localhost'
    })
    assert(await isEncrypted(byName, { sslRootCert: server.caFile }))
  })
  await context.test('not verified', async () => {
    for (const mode of ['require', 'prefer', 'allow', 'no-verify'])
      assert(await isEncrypted(say(mode), {}), mode)
  })
  await context.test('refused', async () => {
    await using other = await openPostgres({ isTls: true })
    await assert.rejects(openOn(bare, { ...quick, sslRootCert: other.caFile }), unreachable(/sslRootCert/))
    await assert.rejects(openOn(say('verify-full'), quick), unreachable(/sslRootCert/))
    await assert.rejects(openOn(say('sometimes')), isInvalid(/sslmode=sometimes; say one of disable/))
    await assert.rejects(openOn(bare, { sslRootCert: '/nowhere.pem' }), isInvalid(/sslrootcert names a file/))
    await assert.rejects(openOn(bare, { sslRootCert: '/etc/hostname' }), isInvalid(/is no PEM file/))
    await assert.rejects(
      openOn(bare),
      (error) => isRowmillError(error, 'DATABASE_REFUSED') && /sslmode/.test(error.message),
    )
  })
})

test('a name that the certificate does not have is refused by verify-full alone', { skip }, async () => {
  await using server = await openPostgres({ isTls: true })
  const other = changed(server.url, (url) => {
    url.hostname = '127.0.0.2'
    url.search = ''
  })
  await using wide = await openPostgres({ isTls: true, settings: { listen_addresses: '*' } })
  const elsewhere = changed(wide.url, (url) => {
    url.hostname = '127.0.0.2'
    url.search = ''
  })
  await assert.rejects(openOn(other, { ...quick, sslRootCert: server.caFile }), unreachable(/ECONNREFUSED/))
  await assert.rejects(
    openOn(elsewhere, { ...quick, sslRootCert: wide.caFile }),
    unreachable(/by a name that the certificate has/),
  )
})

test('a client certificate comes from the URL or from settings', { skip }, async () => {
  await using server = await openPostgres({ wantsClientCertificate: true })
  const bare = changed(server.url, (url) => {
    url.search = ''
  })
  const { caFile: sslRootCert, clientCertFile: sslCert, clientKeyFile } = server
  assert(await isEncrypted(server.url, {}))
  assert(await isEncrypted(bare, { sslRootCert, sslCert, sslKey: await readPem(clientKeyFile) }))
  await assert.rejects(openOn(bare, { ...quick, sslRootCert }))
})

test('TLS that the server does not have is named, or done without where that was said', {
  skip,
}, async () => {
  await using server = await openPostgres()
  const say = (mode: string) =>
    changed(server.url, (url) => {
      url.search = `?sslmode=${mode}`
    })
  await assert.rejects(openOn(say('require'), quick), unreachable(/say sslmode=disable/))
  assert.equal(await isEncrypted(say('prefer'), {}), false)
})

test('passwords may hold any character', { skip }, async () => {
  const password = `p@s s/#?%:'"\\é$&+={}[]|^\`~<>;,!`
  await using server = await openPostgres({ password })
  await using _ = await openOn(server.url)
  const without = changed(server.url, (url) => {
    url.password = ''
  })
  await using __ = await openOn(without, { password })
  const wrong = changed(server.url, (url) => {
    url.password = 'hush-hush'
  })
  await assert.rejects(openOn(wrong), (error) => {
    assert(isRowmillError(error, 'DATABASE_REFUSED'))
    assert.match(error.message, /database\.url.*127\.0\.0\.1.*28P01.*Correct the user or the password/)
    assert(!JSON.stringify([error.message, error.details]).includes('hush'))
    return true
  })
  await assert.rejects(openOn(`postgres://me:100%@127.0.0.1/x`), isInvalid(/percent-encode/))
})

test('an address that is wrong is named, with what to do', { skip }, async () => {
  await assert.rejects(openOn('postgres://a:1,b:2/x'), isInvalid(/several hosts/))
  await assert.rejects(openOn('postgres://a/x?target_session_attrs=any'), isInvalid(/several hosts/))
  await assert.rejects(
    openOn(`postgres://u@127.0.0.1:${await freePort()}/x`, quick),
    unreachable(/database\.url \(DATABASE_URL\), 127\.0\.0\.1:\d+: .*ECONNREFUSED/),
  )
  await assert.rejects(openOn('postgres://u@host.invalid/x', quick), unreachable(/host\.invalid/))
})

test('a pooler in transaction mode is recognised, and what it needs is said', {
  skip: skip || noPgBouncer,
}, async () => {
  await using server = await openPostgres()
  const ignoredParameters = ['statement_timeout', 'idle_in_transaction_session_timeout']
  await using strict = await openPgBouncer(server.url)
  await using lax = await openPgBouncer(server.url, { ignoredParameters })
  for (const { url } of [strict, lax]) {
    await assert.rejects(openOn(url), isInvalid(/set database\.directUrl \(DATABASE_DIRECT_URL\)/))
    await assert.rejects(
      openOn(url, { directUrl: url }),
      isInvalid(/must be the address of PostgreSQL itself/),
    )
    await using _ = await openOn(url, { directUrl: server.url })
  }
})

test('behind a pooler, statements and transactions have their limits too', {
  skip: skip || noPgBouncer,
}, async () => {
  await using server = await openPostgres()
  await using pooler = await openPgBouncer(server.url, { serversMax: 2 })
  await using database = await openOn(pooler.url, { directUrl: server.url, statementTimeoutMs: 400 })
  await assert.rejects(database.query('select pg_sleep(60)'), isUnavailable)
  await assert.rejects(
    database.transaction((session) => session.query('select pg_sleep(60)')),
    (error) => isUnavailable(error),
  )
  const [row] = await database.transaction((session) =>
    session.query<{ timeout: string }>("select current_setting('statement_timeout') as timeout"),
  )
  assert.equal(row?.timeout, '400ms')
  assert.deepEqual(await database.query("select current_setting('statement_timeout') as timeout"), [
    { timeout: '0' },
  ])
})
