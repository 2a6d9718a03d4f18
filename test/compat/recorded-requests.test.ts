/** Requests that real SDKs have sent give the messages that `scripts/record-requests.ts` derived from them by other means. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { dataOf, openCapture } from './capture-fixture.ts'

type Recording = {
  sdk: string
  path: string
  contentType: string
  contentEncoding: string
  nowMs: number
  body: string
  expected: (Record<string, unknown> & { uuid?: string; data: Record<string, unknown> })[]
}

const recordings = readFileSync(new URL('recordings/requests.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line): Recording => JSON.parse(line))

test('the recordings hold both SDKs and all the encodings that they use', () => {
  const kinds = new Set(
    recordings.map(({ sdk, body, contentType }) => {
      const isGzip = Buffer.from(body, 'base64')[0] === 0x1f
      return `${sdk} ${isGzip ? 'gzip' : contentType.includes('form') ? 'form' : 'plain'}`
    }),
  )
  for (const kind of ['posthog-node gzip', 'posthog-node plain', 'posthog-js gzip'])
    assert.ok(kinds.has(kind), kind)
})

test('every recorded request gives exactly the expected messages', async () => {
  let nowMs = 0
  await using capture = await openCapture({ nowMs: () => nowMs })
  for (const [index, recording] of recordings.entries()) {
    nowMs = recording.nowMs
    const headers: Record<string, string> = {}
    if (recording.contentType !== '') headers['content-type'] = recording.contentType
    if (recording.contentEncoding !== '') headers['content-encoding'] = recording.contentEncoding
    const answer = await capture.post(recording.path, Buffer.from(recording.body, 'base64'), headers)
    assert.deepEqual([answer.status, answer.text], [200, '{"status":1}'], `recording ${index}`)
    const written = capture.written.splice(0).filter(({ message }) => message.event !== '$$heatmap')
    assert.equal(written.length, recording.expected.length)
    for (const [nth, expected] of recording.expected.entries()) {
      const { data, ...message } = expected
      for (const [key, value] of Object.entries(message)) {
        if (value !== undefined)
          assert.deepEqual(written[nth]?.message[key], value, `recording ${index}, ${key}`)
      }
      const { $heatmap_data: _heatmap, ...properties } = (data.properties ?? {}) as Record<string, unknown>
      const { uuid, ...got } = dataOf(written[nth])
      const { uuid: sent, ...plain } = data
      assert.equal(uuid, sent ?? written[nth]?.message.uuid)
      assert.deepEqual(got, { ...plain, properties })
    }
  }
})
