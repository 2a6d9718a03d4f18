import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import { openRedisCache } from '../../../src/adapters/redis/cache.ts'
import { redisConfig } from '../../../src/adapters/redis/config.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { noRedis, openRedis, openRedisCluster } from '../../support/engines/redis.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { tempDir } from '../../support/temp-dir.ts'

const options = { skip: noRedis }

async function open(settings: Record<string, unknown>): Promise<void> {
  const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  await using _ = await openRedisCache(
    ground,
    redisConfig.parse({ startTimeoutMs: 1000, connectTimeoutMs: 500, ...settings }),
  )
}

/** A wrong value is told at once, in a sentence that says what to set. */
async function refuses(settings: Record<string, unknown>, sentence: RegExp): Promise<void> {
  await assert.rejects(open(settings), (error) => {
    assert(isRowmillError(error, 'CONFIG_INVALID'), String(error))
    assert.match(error.message, sentence)
    return true
  })
}

test('wrong users, passwords and databases are told', options, async () => {
  await using redis = await openRedis({ password: 'right', user: { name: 'row', password: 'mill' } })
  const at = `127.0.0.1:${redis.port}`
  await refuses({ url: `redis://${at}` }, /asks for a password; set it in redis\.url or redis\.password/)
  await refuses({ url: `redis://:wrong@${at}` }, /refuses the user or the password; mend redis\.url/)
  await refuses({ url: `redis://row:right@${at}` }, /refuses the user or the password/)
  await refuses({ url: `redis://row:mill@${at}/99` }, /no database of the number at the end of redis\.url/)
  await open({ url: `redis://row:mill@${at}/3` })
  await open({ url: `redis://${at}`, username: 'row', password: 'mill' })
  await open({ url: `redis://${at}`, password: 'right' })
})

test('a user who may not ask for INFO can use the cache all the same', options, async () => {
  await using redis = await openRedis({ isOwn: true })
  await redis.ask('acl', 'setuser', 'poor', 'on', '>x', '~*', '&*', '+@all', '-info', '-client')
  await open({ url: `redis://poor:x@127.0.0.1:${redis.port}` })
})

test('TLS that does not fit is told', options, async () => {
  await using secure = await openRedis({ isTls: true })
  await using plain = await openRedis({ isOwn: true })
  await using dir = await tempDir()
  const { url, caFile } = secure
  await refuses({ url }, /No known authority has signed .* redis\.tlsCaFile/)
  await refuses(
    { url, tlsCaFile: join(dir.path, 'none') },
    /redis\.tlsCaFile names .*none, which could not be read/,
  )
  await writeFile(join(dir.path, 'no-pem'), 'this is no certificate')
  await refuses({ url, tlsCaFile: join(dir.path, 'no-pem') }, /No known authority|tlsCaFile/)
  await open({ url, tlsCaFile: caFile })
  await open({ url, isCertificateChecked: false })
  await assert.rejects(open({ url: plain.url.replace('redis:', 'rediss:') }), (error) => {
    assert(isRowmillError(error, 'CACHE_UNAVAILABLE'))
    assert.match(error.message, /if it speaks no TLS, let redis\.url begin with redis:\/\//)
    return true
  })
  await assert.rejects(open({ url: url.replace('rediss:', 'redis:') }), (error) => {
    assert(isRowmillError(error, 'CACHE_UNAVAILABLE'))
    assert.match(
      error.message,
      /ends the connection; if it speaks TLS, let redis\.url begin with rediss:\/\//,
    )
    return true
  })
})

test('a server that wants certificates says so', options, async () => {
  await using redis = await openRedis({ isTls: true })
  await redis.ask('config', 'set', 'tls-auth-clients', 'yes')
  // The alert may be overtaken by the end of the connection, which is no refusal for good.
  await assert.rejects(open({ url: redis.url, tlsCaFile: redis.caFile }), (error) => {
    assert(isRowmillError(error))
    assert.match(error.message, /asks for a certificate.* redis\.tlsCertFile/)
    return true
  })
})

test('a cluster that is none, none that is a cluster, and a replica are told', options, async () => {
  await using plain = await openRedis({ isOwn: true })
  await refuses({ url: plain.url, isCluster: true }, /redis\.isCluster .* is true, .* set it to false/)
  await using cluster = await openRedisCluster()
  await refuses(
    { url: `redis://${cluster.hosts.split(',')[0]}` },
    /a node of a cluster; set redis\.isCluster/,
  )
  await using replica = await openRedis({ args: ['--replicaof', '127.0.0.1', String(plain.port)] })
  await refuses(
    { url: replica.url },
    new RegExp(`names a replica, .* name its master, 127.0.0.1:${plain.port}`),
  )
})

test('a host that nobody knows is named', options, async () => {
  await assert.rejects(open({ url: 'redis://no-such-host.invalid:6379', startTimeoutMs: 100 }), (error) => {
    assert(isRowmillError(error, 'CACHE_UNAVAILABLE'))
    assert.match(error.message, /no-such-host\.invalid:6379 .* nobody knows that host name/)
    return true
  })
})
