import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { openS3Blobs } from '../../../src/adapters/s3/blobs.ts'
import { s3Config } from '../../../src/adapters/s3/config.ts'
import type { ErrorCode } from '../../../src/errors/register.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { openS3, s3SettingsOf } from '../../support/engines/s3.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { tempDir } from '../../support/temp-dir.ts'

async function open(settings: Record<string, unknown>): Promise<void> {
  await using blobs = await openS3Blobs(quietTelemetry(), s3Config.parse({ attemptsMax: 1, ...settings }))
  await blobs.put('key', Buffer.from('x'))
}

async function refuses(
  settings: Record<string, unknown>,
  sentence: RegExp,
  code: ErrorCode = 'CONFIG_INVALID',
) {
  await assert.rejects(open(settings), (error) => {
    assert(isRowmillError(error, code), String(error))
    assert.match(error.message, sentence)
    return true
  })
}

test('wrong buckets, keys, secrets and regions are told with what to set', async () => {
  await using s3 = await openS3({ isOwn: true, region: 'eu-central-1' })
  const right = s3SettingsOf(s3)
  await open(right)
  await refuses(
    { ...right, bucket: 'another' },
    /bucket another: .* has no such bucket; create it, .*OBJECT_STORAGE_BUCKET/,
  )
  await refuses({ ...right, secretAccessKey: 'wrong' }, /refuses the signature; mend s3\.secretAccessKey/)
  await refuses({ ...right, accessKeyId: 'WRONG' }, /does not know the access key; mend s3\.accessKeyId/)
  await refuses(
    { ...right, region: 'us-west-1' },
    /not in the region us-west-1; set s3\.region .* to eu-central-1\./,
  )
})

test('what S3 denies later is told with the rights that are needed', async () => {
  await using s3 = await openS3({ isOwn: true })
  s3.faults.refuse = ({ method }) => (method === 'PUT' ? { code: 'AccessDenied', status: 403 } : undefined)
  await refuses(s3SettingsOf(s3), /written in the bucket .* s3:PutObject/, 'BLOBS_REFUSED')
  s3.faults.refuse = () => ({ code: 'ExpiredToken', status: 400 })
  await refuses(s3SettingsOf(s3), /renew s3\.sessionToken/)
  s3.faults.refuse = () => ({ code: 'RequestTimeTooSkewed', status: 403 })
  await refuses(s3SettingsOf(s3), /clocks .* differ by more than 15 minutes/)
})

test('an endpoint that is none, or does not answer, is told', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using secure = await openS3({ isTls: true })
  await using dir = await tempDir()
  const right = s3SettingsOf(s3)
  await open(s3SettingsOf(secure))
  await refuses(
    { ...s3SettingsOf(secure), tlsCaFile: undefined },
    /No known authority|no known authority .* s3\.tlsCaFile/,
  )
  await refuses(
    { ...s3SettingsOf(secure), tlsCaFile: join(dir.path, 'none') },
    /s3\.tlsCaFile .* could not be read/,
  )
  await refuses(
    { ...right, endpoint: s3.endpoint.replace('http:', 'https:') },
    /does not speak TLS; let s3\.endpoint .*begin with http/,
  )
  await refuses(
    { ...right, endpoint: 'http://127.0.0.1:1' },
    /nothing listens at http:\/\/127\.0\.0\.1:1/,
    'BLOBS_UNAVAILABLE',
  )
  await refuses(
    { ...right, endpoint: 'http://nowhere.invalid' },
    /nobody knows the host name; mend s3\.endpoint/,
    'BLOBS_UNAVAILABLE',
  )
})

test('a web page is not taken for S3', async () => {
  await using s3 = await openS3({ isOwn: true })
  for (const status of [200, 302, 404, 400]) {
    const page = createServer((_, response) => {
      response.writeHead(status, { 'content-type': 'text/html', location: '/login' })
      response.end('<!doctype html><html><body><p>Welcome<br></body></html>')
    })
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve))
    const address = page.address()
    assert(address !== null && typeof address === 'object')
    try {
      const endpoint = `http://127.0.0.1:${address.port}`
      await refuses({ ...s3SettingsOf(s3), endpoint }, /does not answer as S3 does; mend s3\.endpoint/)
    } finally {
      page.closeAllConnections()
      page.close()
    }
  }
})
