/** An outcome's message, and what its columns are made of whichever way they are written. */
import { arenaBytes, constantPiece, type Piece } from '../../../std/arena.ts'
import { readText } from '../../../std/arena-json.ts'
import type { ProcessorContext } from '../../processor/processor.ts'
import { PayloadFields } from '../payload/payload-fields.ts'
import { payloadSeconds } from '../payload/payload-time.ts'

const memory = arenaBytes()

export const fields = new PayloadFields([
  'org_id',
  'project_id',
  'key_id',
  'timestamp',
  'outcome',
  'category',
  'quantity',
  'reason',
  'event_id',
])

/** Places in the set. */
export const outcomeField = {
  orgId: 0,
  projectId: 1,
  keyId: 2,
  timestamp: 3,
  outcome: 4,
  category: 5,
  quantity: 6,
  reason: 7,
  eventId: 8,
} as const

const abuse = 4
const clientDiscard = 5
/** Errors are the data category of outcomes that name none. */
const categoryDefault = 1
/** Other reasons of a client discard are free text of a client's and are not kept. */
const clientDiscardReasons = [
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
const reasonsByLength: readonly (readonly Piece[])[] = Array.from({ length: 32 }, (_, length) =>
  clientDiscardReasons.filter((reason) => reason.length === length).map(constantPiece),
)
const backslash = 0x5c
const noLabels = {}

/** Seconds since 1970. A time of another form counts as now, an absent one as 1970. */
export function secondsOf({ nowMs }: ProcessorContext): number {
  const { timestamp } = outcomeField
  if (fields.isAbsent(timestamp)) return 0
  if (memory[fields.start(timestamp)] !== 0x22) fields.refuse(timestamp, 'a string')
  const seconds = payloadSeconds(fields.start(timestamp), fields.end(timestamp))
  return seconds ?? Math.floor(nowMs() / 1000)
}

export function categoryOf(kind: number, context: ProcessorContext): number {
  const given = fields.optionalUnsigned(outcomeField.category, 0xff)
  if (given === undefined && kind !== abuse) context.count('consumer_missing_category', 1, noLabels)
  return given ?? categoryDefault
}

/** Whether the message has a quantity; one that has none counts once. */
export function hasQuantity(kind: number, context: ProcessorContext): boolean {
  if (!fields.isMissing(outcomeField.quantity)) return true
  if (kind !== abuse) context.count('consumer_missing_quantity', 1, noLabels)
  return false
}

/** Whether the reason, which is a string or missing, is for the row. */
export function isReasonKept(kind: number): boolean {
  const { reason } = outcomeField
  if (fields.isMissing(reason)) return false
  const start = fields.start(reason)
  const end = fields.end(reason)
  if (memory[start] !== 0x22) fields.refuse(reason, 'a string')
  return kind !== clientDiscard || isKnownReason(start, end)
}

function isKnownReason(start: number, end: number): boolean {
  const candidates = reasonsByLength[end - start - 2] ?? []
  for (const { start: from, end: until } of candidates) {
    let place = start + 1
    let at = from
    while (at < until && memory[at] === memory[place]) {
      at++
      place++
    }
    if (at === until) return true
  }
  for (let place = start; place < end; place++)
    if (memory[place] === backslash) return clientDiscardReasons.includes(readText(start, end))
  return false
}
