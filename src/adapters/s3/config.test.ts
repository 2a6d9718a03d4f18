import assert from 'node:assert/strict'
import { test } from 'node:test'
import { s3Config, s3Contradictions } from './config.ts'

const contradictions = (settings: Record<string, unknown>) => s3Contradictions(s3Config.parse(settings))

test('values that cannot be right are refused', () => {
  const wrong = [
    { bucket: 'Upper' },
    { bucket: 'a' },
    { endpoint: 'minio:9000' },
    { endpoint: 'http://minio:9000/bucket' },
    { endpoint: 'http://user:pass@minio' },
    { publicEndpoint: 'ftp://x' },
    { keyPrefix: 'no-slash' },
    { keyPrefix: '/a/' },
    { region: 'EU West' },
    { partBytes: 1024 },
  ]
  for (const settings of wrong)
    assert.equal(s3Config.safeParse(settings).success, false, JSON.stringify(settings))
  const right = { bucket: 'a-b.c', endpoint: 'http://minio:9000', keyPrefix: 'a/b/', region: 'auto' }
  assert.deepEqual(contradictions(right), [])
  assert.deepEqual(contradictions({}), [])
})

test('each contradiction has a sentence that names what to set', () => {
  const MiB = 1024 * 1024
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ publicEndpoint: 'http://x' }, /OBJECT_STORAGE_BUCKET/],
    [{ accessKeyId: 'a' }, /set both, or none/],
    [{ secretAccessKey: 'a' }, /set both, or none/],
    [{ multipartBytesMin: 6 * MiB, partBytes: 7 * MiB }, /raise the first or lower the second/],
    [{ endpoint: 'http://x', tlsCaFile: 'ca' }, /begin with https/],
    [{ requestTimeoutMs: 1000, operationTimeoutMs: 500 }, /operationTimeoutMs \(500\) is below/],
  ]
  for (const [settings, sentence] of wrong) assert.match(contradictions(settings).join(' '), sentence)
})

test('secrets do not show themselves', () => {
  const config = s3Config.parse({ accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c' })
  assert.equal(JSON.stringify([config.secretAccessKey, config.sessionToken]), '["***","***"]')
})
