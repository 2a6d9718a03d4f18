import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createEapItems } from '../../src/datasets/processors/eap/eap-items.ts'
import { createGenericCounters } from '../../src/datasets/processors/metrics/generic-counters.ts'
import { contextOf, fixedMs, processOne, readPayloads, recordOf } from './golden.ts'

function payload(storage: string, name: string): Buffer {
  const found = readPayloads(storage).find((payload) => payload.name === name)
  assert.ok(found)
  return found.value
}

suite('eap_items', () => {
  const span = payload('eap_items', 'everyday-span')
  const dayMs = 86_400_000

  test('eap_items_emit_received_at adds the time of the record', () => {
    const context = contextOf({ live: () => ({ eap_items_emit_received_at: true }) })
    const { lines } = processOne(createEapItems, recordOf(span), context)
    assert.match(lines[0] ?? '', new RegExp(`"received_at":${fixedMs}[,}]`))
    assert.doesNotMatch(processOne(createEapItems, recordOf(span)).lines[0] ?? '', /"received_at"/)
  })

  test('eap_items_dlq_grace_period_min sets items of another week aside in silence', () => {
    const counted: string[] = []
    const contextAt = (nowMs: number, graceByStorage: Record<string, unknown>) =>
      contextOf({
        nowMs: () => nowMs,
        live: () => ({ eap_items_dlq_grace_period_min: graceByStorage }),
        count: (metric, _, labels) => counted.push(`${metric} ${Object.values(labels).join(' ')}`),
      })
    const late = processOne(createEapItems, recordOf(span), contextAt(fixedMs + 7 * dayMs, { storage: 60 }))
    assert.equal(late.ending?.kind === 'invalid' && late.ending.reason, 'ignored_message')
    const early = processOne(createEapItems, recordOf(span), contextAt(fixedMs - 7 * dayMs, { storage: 60 }))
    assert.equal(early.ending?.kind === 'invalid' && early.ending.path, 'timestamp')
    assert.deepEqual(counted, [
      'consumer_eap_items_dlqed_prior_partition span past_ts',
      'consumer_eap_items_dlqed_prior_partition span future_ts',
    ])
    for (const grace of [{ another: 60 }, { storage: -1 }, { storage: '60' }]) {
      const context = contextAt(fixedMs + 7 * dayMs, grace)
      assert.equal(processOne(createEapItems, recordOf(span), context).lines.length, 1)
    }
  })

  test('counts items and bytes by type', () => {
    const counted: [string, number][] = []
    const count = (metric: string, by: number, labels: Readonly<Record<string, string>>) => {
      counted.push([`${metric} ${labels.item_type}`, by])
    }
    processOne(createEapItems, recordOf(span), contextOf({ count }))
    assert.deepEqual(counted, [
      ['consumer_insertions_item_type_count span', 1],
      ['consumer_insertions_item_bytes_processed span', span.length],
    ])
  })
})

suite('generic_metrics_counters', () => {
  const counter = payload('generic_metrics_counters_raw', 'everyday-counter')
  const run = (value: Buffer, headers: Record<string, string | null>, live: Record<string, unknown> = {}) =>
    processOne(createGenericCounters, recordOf(value, { headers }), contextOf({ live: () => live }))

  test('a header with another type skips the message unread', () => {
    const broken = Buffer.from('no JSON')
    assert.deepEqual(run(broken, { metric_type: 'd' }).ending, { kind: 'skip', reason: 'not a counter' })
    assert.equal(run(broken, { metric_type: 'c' }).ending?.kind, 'invalid')
    assert.equal(run(counter, { metric_type: 'c' }).lines.length, 1)
    assert.equal(run(counter, {}).lines.length, 1)
  })

  test('a use case that the kill switch names makes no rows, be the message as wrong as it may', () => {
    const wrong = Buffer.from('{"use_case_id":"spans"}')
    const skipped = { kind: 'skip', reason: 'use case switched off' }
    const off = { generic_metrics_use_case_killswitch: '[spans,custom]' }
    assert.deepEqual(run(counter, {}, off).ending, skipped)
    assert.deepEqual(run(wrong, {}, off).ending, skipped)
    for (const option of ['', '[custom]', 7, null])
      assert.equal(run(counter, {}, { generic_metrics_use_case_killswitch: option }).lines.length, 1)
    assert.equal(run(Buffer.from('{}'), {}, off).ending?.kind, 'invalid')
  })
})
