/**
 * What became of events that clients sent: accepted, filtered, rate limited, and so on. One row a message.
 * Behaviour of Snuba's OutcomesProcessor.
 */
import { constantPiece, put, putByte, putCopy, putUnsigned, reserve, writtenRow } from '../../../std/arena.ts'
import { readUnsigned } from '../../../std/arena-numbers.ts'
import type {
  CreateProcessor,
  Message,
  MessageProcessor,
  Output,
  ProcessorContext,
} from '../../processor/processor.ts'
import { readMessage } from '../message-fields.ts'
import { nullText, zero } from '../payload/payload-fields.ts'
import {
  categoryOf,
  outcomeField as field,
  fields,
  hasQuantity,
  isReasonKept,
  secondsOf,
} from './outcome-message.ts'
import { OutcomesByColumns } from './outcomes-columns.ts'

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

const u32Max = 0xffff_ffff
/** More than the names of all columns, a quantity twice and a UUID with hyphens take. */
const rowBytesExtra = 512

export const createOutcomes: CreateProcessor = (context) =>
  context.format === 'Native' ? new OutcomesByColumns(context) : new Outcomes(context)

class Outcomes implements MessageProcessor {
  readonly #context: ProcessorContext

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process({ value }: Message, output: Output): void {
    readMessage(value, fields.set)
    const kind = fields.unsigned(field.outcome, 0xff)
    reserve(value.length + rowBytesExtra)
    put(column.orgId)
    if (fields.isAbsent(field.orgId)) put(zero)
    else fields.putU64(field.orgId)
    put(column.projectId)
    fields.putOptionalU64(field.projectId, nullText)
    put(column.keyId)
    fields.putOptionalU64(field.keyId, nullText)
    put(column.timestamp)
    putUnsigned(secondsOf(this.#context))
    put(column.outcome)
    putUnsigned(kind)
    put(column.category)
    putUnsigned(categoryOf(kind, this.#context))
    this.#writeQuantities(kind)
    put(column.reason)
    if (isReasonKept(kind)) fields.putString(field.reason)
    else put(nullText)
    put(column.eventId)
    fields.putOptionalUuid(field.eventId, nullText)
    putByte(0x7d)
    output.splice(writtenRow(), '}')
  }

  /** In full, and again in 32 bits: 0 if it does not fit. */
  #writeQuantities(kind: number): void {
    put(column.quantity64)
    if (!hasQuantity(kind, this.#context)) {
      putByte(0x31)
      put(column.quantity)
      putByte(0x31)
      return
    }
    fields.putU64(field.quantity)
    put(column.quantity)
    const start = fields.start(field.quantity)
    const end = fields.end(field.quantity)
    if (readUnsigned(start, end, u32Max) === undefined) put(zero)
    else putCopy(start, end)
  }
}
