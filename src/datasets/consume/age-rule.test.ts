import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMessage } from '../processor/run-message.ts'
import { ageRule } from './age-rule.ts'
import { selectRecords } from './select-records.ts'

const nowMs = 10_000_000
const records = Array.from({ length: 1000 }, (_, offset) =>
  createMessage({ value: '{}', offset, timestampMs: offset % 2 === 0 ? nowMs - 700_000 : nowMs }),
)

function select(options: Record<string, unknown>) {
  const seen: boolean[] = []
  const selection = selectRecords(records, {
    preFilter: undefined,
    stopAtSeconds: undefined,
    schema: undefined,
    age: () => ageRule('errors', () => options, nowMs),
    onOld: (wasChosen) => seen.push(wasChosen),
  })
  return { ...selection, seen }
}

test('without the option, or for another storage, old messages are like any others', () => {
  assert.equal(select({}).records.length, 1000)
  const other = select({ 'consumer.dlq_by_age_sample_rate_by_storage': { outcomes_raw: 1 } })
  assert.equal(other.records.length, 1000)
  assert.deepEqual(other.seen, [])
})

test('every message older than the threshold is set aside at a share of 1, and no other', () => {
  const { outcomes, seen } = select({ 'consumer.dlq_by_age_sample_rate_by_storage': { errors: 1 } })
  assert.equal(seen.length, 500)
  for (const [index, outcome] of outcomes.entries())
    assert.equal(outcome.kind === 'dead-letter' && outcome.reason === 'too_old_message', index % 2 === 0)
})

test('a share chooses about so many, and the same ones each time', () => {
  const options = { 'consumer.dlq_by_age_sample_rate_by_storage': { errors: 0.3 } }
  const first = select(options)
  const chosen = first.seen.filter((wasChosen) => wasChosen).length
  assert(chosen > 100 && chosen < 200, `${chosen} of 500`)
  assert.deepEqual(select(options).owners, first.owners)
})

test('the threshold is an option too', () => {
  const options = {
    'consumer.dlq_by_age_sample_rate_by_storage': { errors: 1 },
    'consumer.dlq_by_age_threshold_seconds': 800,
  }
  assert.equal(select(options).records.length, 1000)
})
