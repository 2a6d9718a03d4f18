import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogBatch } from '../ports/log.ts'
import type { Outcome } from './outcome.ts'
import { identifyByHeaders, settle } from './settlement.ts'

const headers = { uuid: 'u-1', distinct_id: 'ada', token: 'phc_1', event: 'signup', now: null }

function batchOf(count: number): LogBatch {
  const records = Array.from({ length: count }, (_, index) => ({
    topic: 'in',
    partition: 2,
    offset: 10 + index,
    timestampMs: 5,
    key: Buffer.from('k'),
    value: Buffer.from(`value ${index}`),
    headers,
  }))
  return { topic: 'in', partition: 2, from: 10, until: 10 + count + 1, records }
}

const options = {
  stage: 'ingestion',
  topics: { deadLetters: 'dead', drops: 'drops', ledger: 'ledger' },
  hasLedger: true,
  identify: identifyByHeaders,
  nowMs: Date.UTC(2026, 0, 2),
}

test('each kind of outcome becomes its records, and the ledger counts them', () => {
  const outcomes: Outcome[] = [
    { kind: 'next', records: [{ topic: 'out', key: 'k', value: Buffer.from('a') }] },
    { kind: 'drop', reason: 'duplicate', details: { first: 3 } },
    { kind: 'divert', topic: 'overflow', reason: 'hot key', keepKey: false, headers: { more: 'yes' } },
    { kind: 'dead-letter', reason: 'invalid_message', error: new Error('no JSON') },
  ]
  const batchRecord = { topic: 'dedup', key: null, value: Buffer.from('ids') }
  const { records, ledger } = settle(batchOf(4), { outcomes, records: [batchRecord] }, options)
  assert.deepEqual(
    records.map(({ topic }) => topic),
    ['out', 'drops', 'overflow', 'dead', 'drops', 'dedup', 'ledger'],
  )
  const [, drop, diverted, dead, deadRow, , ledgerRecord] = records
  assert.deepEqual(JSON.parse(String(drop?.value)), {
    uuid: 'u-1',
    distinct_id: 'ada',
    token: 'phc_1',
    event: 'signup',
    stage: 'ingestion',
    ended: 'drop',
    reason: 'duplicate',
    details: '{"first":3}',
    topic: 'in',
    partition: 2,
    offset: 11,
    time: '2026-01-02 00:00:00.000000',
  })
  assert.equal(diverted?.key, null)
  assert.equal(String(diverted?.value), 'value 2')
  assert.deepEqual(diverted?.headers, { ...headers, more: 'yes', divert_reason: 'hot key' })
  assert.equal(String(dead?.value), 'value 3')
  assert.equal(String(dead?.key), 'k')
  assert.equal(dead?.timestampMs, 5)
  assert.deepEqual(dead?.headers, {
    ...headers,
    dlq_reason: 'invalid_message',
    dlq_step: 'ingestion',
    dlq_timestamp: '2026-01-02T00:00:00.000Z',
    dlq_topic: 'in',
    dlq_partition: '2',
    dlq_offset: '13',
    dlq_error: 'no JSON',
  })
  assert.equal(JSON.parse(String(deadRow?.value)).ended, 'dead-letter')
  assert.deepEqual(JSON.parse(String(ledgerRecord?.value)), ledger)
  assert.deepEqual(ledger, {
    stage: 'ingestion',
    topic: 'in',
    partition: 2,
    from_offset: 10,
    until_offset: 15,
    in: 4,
    out: 1,
    dropped: 1,
    diverted: 1,
    dead_lettered: 1,
    reasons: { duplicate: 1, overflow: 1, invalid_message: 1 },
    outputs: { out: 1, drops: 2, overflow: 1, dead: 1, dedup: 1 },
    time: '2026-01-02 00:00:00.000000',
  })
})

test('a missing outcome is a bug', () => {
  assert.throws(() => settle(batchOf(2), { outcomes: [{ kind: 'next', records: [] }] }, options), {
    code: 'ERR_ASSERTION',
  })
})

test('an empty batch still has its ledger row, and none where the ledger is off', () => {
  assert.equal(settle(batchOf(0), { outcomes: [] }, options).records.length, 1)
  assert.equal(settle(batchOf(0), { outcomes: [] }, { ...options, hasLedger: false }).records.length, 0)
})

test('a quiet drop is counted by reason and why, and has no row; ever new words are counted by reason alone', () => {
  const quiet = (why?: string): Outcome => ({
    kind: 'drop',
    reason: 'duplicate',
    ...(why === undefined ? {} : { details: { why } }),
    isQuiet: true,
  })
  const outcomes = [quiet('pre-filter'), quiet('pre-filter'), quiet(), quiet('x'.repeat(500))]
  const { records, ledger } = settle(batchOf(4), { outcomes }, options)
  assert.deepEqual(
    records.map(({ topic }) => topic),
    ['ledger'],
  )
  assert.deepEqual(ledger.reasons, {
    'duplicate: pre-filter': 2,
    duplicate: 1,
    [`duplicate: ${'x'.repeat(80)}`]: 1,
  })
  assert.equal(ledger.dropped, 4)
  const many = Array.from({ length: 100 }, (_, number) => quiet(`number ${number}`))
  const { reasons } = settle(batchOf(100), { outcomes: many }, options).ledger
  assert.equal(Object.keys(reasons).length, 21)
  assert.equal(reasons.duplicate, 80)
})

test('a dead letter carries the headers of its outcome, and the engine has the last word', () => {
  const outcomes: Outcome[] = [
    {
      kind: 'dead-letter',
      reason: 'invalid_message',
      error: 'no',
      headers: { dlq_path: 'a.b', dlq_topic: 'x' },
    },
  ]
  const [letter] = settle(batchOf(1), { outcomes }, options).records
  assert.equal(letter?.headers?.dlq_path, 'a.b')
  assert.equal(letter?.headers?.dlq_topic, 'in')
  assert.equal(letter?.headers?.dlq_error, 'no')
})
