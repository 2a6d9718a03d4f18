/** Requests that real SDKs have sent give the messages that `scripts/record-requests.ts` derived from them by other means. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { replayConfigSchema } from '../../src/capture/replay/config.ts'
import { createReplayRoutes } from '../../src/capture/replay/replay.ts'
import { v1ConfigSchema } from '../../src/capture/v1/config.ts'
import { createV1Routes } from '../../src/capture/v1/v1.ts'
import { dataOf, openCapture } from './capture-fixture.ts'

type Recording = {
  sdk: string
  path: string
  contentType: string
  contentEncoding: string
  headers: Record<string, string>
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
    recordings.map(({ sdk, path, body, contentType }) => {
      const isGzip = Buffer.from(body, 'base64')[0] === 0x1f
      const lane = path.startsWith('/i/v1') ? ' v1' : path.startsWith('/s/') ? ' replay' : ''
      return `${sdk}${lane} ${isGzip ? 'gzip' : contentType.includes('form') ? 'form' : 'plain'}`
    }),
  )
  assert.deepEqual([...kinds].sort(), [
    'posthog-js form',
    'posthog-js gzip',
    'posthog-js plain',
    'posthog-js replay gzip',
    'posthog-node gzip',
    'posthog-node plain',
    'posthog-node v1 gzip',
    'posthog-node v1 plain',
  ])
})

test('every recorded request gives exactly the expected messages', async () => {
  let nowMs = 0
  await using capture = await openCapture({
    nowMs: () => nowMs,
    more: (ports, config) => [
      ...createReplayRoutes(ports, { ...config, ...replayConfigSchema.parse({}) }),
      ...createV1Routes(ports, { ...config, ...v1ConfigSchema.parse({}), aiMessageBytesMax: 1_000_000 }),
    ],
  })
  for (const [index, recording] of recordings.entries()) {
    nowMs = recording.nowMs
    const headers: Record<string, string> = { ...recording.headers }
    if (recording.contentType !== '') headers['content-type'] = recording.contentType
    if (recording.contentEncoding !== '') headers['content-encoding'] = recording.contentEncoding
    const answer = await capture.post(recording.path, Buffer.from(recording.body, 'base64'), headers)
    const isV1 = recording.path.startsWith('/i/v1')
    assert.equal(answer.status, 200, `recording ${index}`)
    if (!isV1) assert.equal(answer.text, '{"status":1}')
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
      const isReplay = recording.path.startsWith('/s/')
      assert.equal(uuid, isReplay ? undefined : (sent ?? written[nth]?.message.uuid))
      assert.deepEqual(got, { ...plain, properties })
    }
  }
})
