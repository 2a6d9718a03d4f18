/**
 * What became of events that clients sent: accepted, filtered, rate limited, and so on. One row a message.
 * Behaviour of Snuba's OutcomesProcessor.
 */
import {
  arenaBytes,
  constantPiece,
  put,
  putByte,
  putCopy,
  putUnsigned,
  reserve,
  writtenRow,
} from '../../../std/arena.ts'
import { readUnsigned } from '../../../std/arena-numbers.ts'
import type {
  CreateProcessor,
  Message,
  MessageProcessor,
  Output,
  ProcessorContext,
} from '../../processor/processor.ts'
import { readMessage } from '../message-fields.ts'
import { nullText, PayloadFields, zero } from '../payload/payload-fields.ts'
import { payloadSeconds } from '../payload/payload-time.ts'

const memory = arenaBytes()

const fields = new PayloadFields([
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
const [orgId, projectId, keyId, timestamp, outcome, category, quantity, reason, eventId] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8,
] as const

const column = {
  orgId: constantPiece('{"org_id":'),
  projectId: constantPiece(',"project_id":'),
  keyId: constantPiece(',"key_id":'),
  timestamp: constantPiece(',"timestamp":'),
  outcome: constantPiece(',"outcome":'),
  category: constantPiece(',"category":'),
  quantity64: constantPiece(',"quantity64":'),
  quantity: constantPiece(',"quantity":'),
  reason: constantPiece(',"reason":'),
  eventId: constantPiece(',"event_id":'),
}

const abuse = 4
const clientDiscard = 5
/** Errors are the data category of outcomes that name none. */
const categoryDefault = 1
/** Other reasons of a client discard are free text of a client's and are not kept. */
const clientDiscardReasons = new Set([
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
])
const u32Max = 0xffff_ffff
/** More than the names of all columns, a quantity twice and a UUID with hyphens take. */
const rowBytesExtra = 512

const noLabels = {}

export const createOutcomes: CreateProcessor = (context) => new Outcomes(context)

class Outcomes implements MessageProcessor {
  readonly #context: ProcessorContext

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process({ value }: Message, output: Output): void {
    readMessage(value, fields.set)
    const kind = fields.unsigned(outcome, 0xff)
    reserve(value.length + rowBytesExtra)
    put(column.orgId)
    if (fields.isAbsent(orgId)) put(zero)
    else fields.putU64(orgId)
    put(column.projectId)
    fields.putOptionalU64(projectId, nullText)
    put(column.keyId)
    fields.putOptionalU64(keyId, nullText)
    put(column.timestamp)
    putUnsigned(this.#seconds())
    put(column.outcome)
    putUnsigned(kind)
    put(column.category)
    putUnsigned(this.#category(kind))
    this.#writeQuantities(kind)
    put(column.reason)
    if (kind === clientDiscard && !this.#isReasonKnown()) put(nullText)
    else fields.putOptionalString(reason, nullText)
    put(column.eventId)
    fields.putOptionalUuid(eventId, nullText)
    putByte(0x7d)
    output.splice(writtenRow(), '}')
  }

  /** A time of another form counts as now, an absent one as 1970. */
  #seconds(): number {
    if (fields.isAbsent(timestamp)) return 0
    if (memory[fields.start(timestamp)] !== 0x22) fields.refuse(timestamp, 'a string')
    const seconds = payloadSeconds(fields.start(timestamp), fields.end(timestamp))
    return seconds ?? Math.floor(this.#context.nowMs() / 1000)
  }

  #category(kind: number): number {
    const given = fields.optionalUnsigned(category, 0xff)
    if (given === undefined && kind !== abuse) this.#context.count('consumer_missing_category', 1, noLabels)
    return given ?? categoryDefault
  }

  /** In full, and again in 32 bits: 0 if it does not fit. */
  #writeQuantities(kind: number): void {
    put(column.quantity64)
    if (fields.isMissing(quantity)) {
      if (kind !== abuse) this.#context.count('consumer_missing_quantity', 1, noLabels)
      putByte(0x31)
      put(column.quantity)
      putByte(0x31)
      return
    }
    fields.putU64(quantity)
    put(column.quantity)
    const start = fields.start(quantity)
    const end = fields.end(quantity)
    if (readUnsigned(start, end, u32Max) === undefined) put(zero)
    else putCopy(start, end)
  }

  #isReasonKnown(): boolean {
    return clientDiscardReasons.has(fields.optionalText(reason) ?? '')
  }
}
