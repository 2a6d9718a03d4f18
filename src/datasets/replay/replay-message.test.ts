import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compressSync } from 'lz4-napi'
import type { LogRecord } from '../../ports/log.ts'
import { readReplayMessage } from './replay-message.ts'

const properties = { distinct_id: 'ada', $session_id: 's1', $snapshot_items: [{ type: 3 }, 'no object'] }
const text = JSON.stringify({
  token: 'phc_1',
  data: JSON.stringify({ event: '$snapshot_items', properties }),
})
const bytesMax = 10_000

function recordOf(value: Buffer, headers: LogRecord['headers'] = {}): LogRecord {
  return { topic: 't', partition: 0, offset: 0, timestampMs: 0, key: null, value, headers }
}

test('an LZ4 message reads like a plain one, and what is absent has its default', () => {
  const expected = {
    token: 'phc_1',
    distinctId: 'ada',
    sessionId: 's1',
    windowId: 's1',
    source: 'web',
    library: 'unknown',
    items: [{ type: 3 }],
  }
  const lz4 = { 'content-encoding': 'lz4' }
  assert.deepEqual(readReplayMessage(recordOf(Buffer.from(text)), { bytesMax }), expected)
  assert.deepEqual(readReplayMessage(recordOf(compressSync(Buffer.from(text)), lz4), { bytesMax }), expected)
})

test('a broken or inflated message is told in a sentence and never thrown', () => {
  const bomb = Buffer.from([0xff, 0xff, 0xff, 0x7f, 0x10, 0x20])
  const broken = [
    recordOf(bomb, { 'content-encoding': 'lz4' }),
    recordOf(Buffer.from([9, 0, 0, 0, 255, 255, 255]), { 'content-encoding': 'lz4' }),
    recordOf(Buffer.from([1]), { 'content-encoding': 'lz4' }),
    recordOf(Buffer.from('no json')),
    recordOf(Buffer.from('{"data":"[]"}')),
    recordOf(Buffer.from('{"data":"{\\"properties\\":{\\"$session_id\\":5}}"}')),
    recordOf(Buffer.from('{"data":"{\\"properties\\":{\\"$session_id\\":\\"s\\"}}"}')),
  ]
  for (const record of broken) assert.equal(typeof readReplayMessage(record, { bytesMax }), 'string')
})
