import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { test } from 'node:test'
import { openS3Blobs } from '../../../src/adapters/s3/blobs.ts'
import { s3Config } from '../../../src/adapters/s3/config.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { exerciseBlobs } from '../../../src/ports/blobs.contract.ts'
import type { Blobs } from '../../../src/ports/blobs.ts'
import { openS3, s3SettingsOf, type TestS3 } from '../../support/engines/s3.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { waitFor } from '../../support/wait-for.ts'

const MiB = 1024 * 1024

function openBlobs(s3: TestS3, settings: Record<string, unknown> = {}): Promise<Blobs> {
  return openS3Blobs(quietTelemetry(), s3Config.parse({ ...s3SettingsOf(s3), ...settings }))
}

exerciseBlobs('S3', async () => {
  await using stack = new AsyncDisposableStack()
  const s3 = stack.use(await openS3())
  const blobs = stack.use(await openBlobs(s3))
  const owned = stack.move()
  return {
    blobs,
    reopen: async () => owned.use(await openBlobs(s3)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
})

const isUnavailable = (error: unknown) => isRowmillError(error, 'BLOBS_UNAVAILABLE')
/** Bytes that differ everywhere, so that parts in a wrong order are seen. */
const largeBytes = (length: number) =>
  Buffer.from(Uint32Array.from({ length: length / 4 }, (_, n) => n).buffer)
const uploads = (s3: TestS3) => s3.requests.filter((line) => line.includes('partNumber=')).length

test('a large object goes in parts and comes back whole', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3)
  const bytes = largeBytes(37 * MiB)
  await blobs.put('large', bytes)
  assert.equal(uploads(s3), 5)
  assert.equal(bytes.equals((await blobs.get('large')) ?? Buffer.alloc(0)), true)
  assert.deepEqual(await Array.fromAsync(blobs.list('')), [{ key: 'large', bytes: 37 * MiB }])
})

test('an upload whose part fails leaves neither an object nor parts', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3, { attemptsMax: 2 })
  await blobs.put('large', Buffer.from('what was there'))
  s3.faults.refuse = ({ target }) =>
    target.includes('partNumber=2') ? { code: 'InternalError', status: 500 } : undefined
  await assert.rejects(blobs.put('large', largeBytes(24 * MiB)), isUnavailable)
  assert.equal(s3.content.uploads.size, 0)
  assert.equal(String(await blobs.get('large')), 'what was there')
})

test('a server that asks to be asked less often is asked again', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3)
  let left = 2
  s3.faults.refuse = () => (left-- > 0 ? { code: 'SlowDown', status: 503 } : undefined)
  await blobs.put('key', Buffer.from('x'))
  s3.faults.refuse = () => ({ code: 'SlowDown', status: 503 })
  await assert.rejects(blobs.get('key'), (error) => isUnavailable(error) && /less often/.test(String(error)))
})

test('S3 that is away fails in time, and is found again', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3, { attemptsMax: 2 })
  await blobs.put('key', Buffer.from('x'))
  await s3.kill()
  await assert.rejects(
    blobs.get('key'),
    (error) => isUnavailable(error) && /nothing listens/.test(String(error)),
  )
  await assert.rejects(blobs.put('key', Buffer.from('y')), isUnavailable)
  await s3.start()
  await waitFor(async () => String(await blobs.get('key')) === 'x')
})

test('S3 that hangs fails in time', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3, { attemptsMax: 2, requestTimeoutMs: 300 })
  await using brief = await openBlobs(s3, {
    operationTimeoutMs: 30_000,
    requestTimeoutMs: 300,
    attemptsMax: 1,
  })
  const held = Promise.withResolvers<void>()
  s3.faults.hold = held.promise
  for (const store of [blobs, brief])
    await assert.rejects(store.get('key'), (error) => isUnavailable(error) && /in time/.test(String(error)))
  s3.faults.hold = undefined
  held.resolve()
  await blobs.put('key', Buffer.from('x'))
})

test('an object that is cut or changed on its way is never taken for whole', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3)
  await blobs.put('key', Buffer.alloc(300_000, 'x'))
  s3.faults.isCut = true
  await assert.rejects(blobs.get('key'), isUnavailable)
  s3.faults.isCut = false
  s3.faults.isDamaged = true
  await assert.rejects(blobs.get('key'), (error) => isUnavailable(error) && /damaged/.test(String(error)))
  s3.faults.isDamaged = false
  assert.equal((await blobs.get('key'))?.length, 300_000)
})

test('an answer that is lost is asked for again', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3)
  s3.faults.isMute = true
  const putting = blobs.put('key', Buffer.from('x'))
  await waitFor(() => s3.content.objects.size === 1)
  s3.faults.isMute = false
  await putting
  assert.equal(String(await blobs.get('key')), 'x')
})

test('a clock that is wrong is allowed for', async () => {
  await using s3 = await openS3({ isOwn: true })
  s3.faults.clockAheadMs = 3_600_000
  await using blobs = await openBlobs(s3)
  await blobs.put('key', Buffer.from('x'))
  assert.equal(String(await blobs.get('key')), 'x')
})

test('more keys than one page holds are listed in order', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3)
  await blobs.put('key-0000', Buffer.from('xyz'))
  const [[name, object] = assert.fail()] = [...s3.content.objects]
  const keys = Array.from({ length: 2500 }, (_, n) => `key-${String(n).padStart(4, '0')}`)
  for (const key of keys) s3.content.objects.set(name.replace('key-0000', key), object)
  for (const foreign of ['not a key', 'a//b', '', '../x'])
    s3.content.objects.set(name.replace('key-0000', foreign), object)
  s3.content.objects.set('of-somebody-else', object)
  assert.deepEqual(
    (await Array.fromAsync(blobs.list(''))).map(({ key }) => key),
    keys,
  )
  assert.deepEqual(
    await Array.fromAsync(blobs.list('key-24', {})),
    keys.slice(2400).map((key) => ({ key, bytes: 3 })),
  )
})

test('no more requests than allowed run or wait', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3, { requestsMax: 2, waitingMax: 3 })
  const held = Promise.withResolvers<void>()
  s3.faults.hold = held.promise
  const before = s3.requests.length
  const gets = Array.from({ length: 8 }, (_, n) => blobs.get(`key-${n}`))
  const outcomes = Promise.allSettled(gets)
  await assert.rejects(
    Promise.race(gets.slice(5)),
    (error) => isUnavailable(error) && /s3\.waitingMax/.test(String(error)),
  )
  await waitFor(() => s3.requests.length === before + 2)
  s3.faults.hold = undefined
  held.resolve()
  assert.equal((await outcomes).filter(({ status }) => status === 'fulfilled').length, 5)
})

test('the bucket may stand in the name of the host', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3, { publicEndpoint: s3.endpoint.replace('127.0.0.1', 's3.example') })
  await blobs.put('key', Buffer.from('x'))
  const path = await blobs.presign('key', { expiresMs: 1000 })
  assert.match(path ?? '', new RegExp(`^http://s3\\.example:\\d+/${s3.bucket}/${s3.keyPrefix}key\\?`))
  // Nothing resolves the name here, so the host is asked by its address; the signature is of the name.
  const address = await addressWithBucketInHost(s3)
  assert.equal(address.hostname, `${s3.bucket}.s3.example`)
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asking = httpRequest(
      `${s3.endpoint}${address.pathname}${address.search}`,
      { headers: { host: address.host } },
      (answer) => resolve(answer.resume().statusCode),
    )
    asking.on('error', reject).end()
  })
  assert.equal(status, 200)
})

/** Signed by a client whose endpoint is a name; only signing is done by it. */
async function addressWithBucketInHost(s3: TestS3): Promise<URL> {
  const { createS3Connection } = await import('../../../src/adapters/s3/connect.ts')
  const config = s3Config.parse({ ...s3SettingsOf(s3), endpoint: 'http://s3.example', isPathStyle: false })
  await using connection = await createS3Connection(config)
  const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
  const command = new connection.commands.GetObjectCommand({ Bucket: s3.bucket, Key: `${s3.keyPrefix}key` })
  return new URL(await getSignedUrl(connection.client, command, { expiresIn: 60 }))
}

test('an address ends when its time has passed', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using blobs = await openBlobs(s3)
  await blobs.put('key', Buffer.from('x'))
  const address = await blobs.presign('key', { expiresMs: 60_000 })
  assert.equal((await fetch(address ?? '')).status, 200)
  s3.faults.clockAheadMs = 61_000
  assert.equal((await fetch(address ?? '')).status, 403)
})
