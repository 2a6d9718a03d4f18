/** Outcomes, written down plainly after Snuba's OutcomesProcessor. */
import type { CreateProcessor } from '../../../src/datasets/processor/processor.ts'
import { secondsOf } from './seconds.ts'
import { fields, parseMessage, string, unsigned, uuid } from './strict-json.ts'

const clientDiscard = 5n
const discardReasons = [
  'backpressure',
  'before_send',
  'buffer_overflow',
  'cache_overflow',
  'event_processor',
  'ignored',
  'insufficient_data',
  'internal_sdk_error',
  'invalid',
  'network_error',
  'no_parent_span',
  'queue_overflow',
  'ratelimit_backoff',
  'sample_rate',
  'send_error',
]

export const createProcessor: CreateProcessor = ({ nowMs }) => ({
  process({ value }, output) {
    const message = fields(parseMessage(value, 'unless unread'), '')
    const orgId = message.withDefault('org_id', unsigned(64), 0n)
    const projectId = message.optional('project_id', unsigned(64)) ?? null
    const keyId = message.optional('key_id', unsigned(64)) ?? null
    const timestamp = message.withDefault('timestamp', secondsOf(nowMs), 0n)
    const outcome = message.required('outcome', unsigned(8))
    const category = message.optional('category', unsigned(8)) ?? 1n
    const quantity = message.optional('quantity', unsigned(64)) ?? 1n
    let reason = message.optional('reason', string) ?? null
    const eventId = message.optional('event_id', uuid) ?? null
    if (outcome === clientDiscard && reason !== null && !discardReasons.includes(reason)) reason = null
    output.row({
      org_id: orgId,
      project_id: projectId,
      key_id: keyId,
      timestamp,
      outcome,
      category,
      quantity64: quantity,
      quantity: quantity <= 0xffff_ffffn ? quantity : 0n,
      reason,
      event_id: eventId,
    })
  },
})
