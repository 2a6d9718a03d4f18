/** Outcomes as columns. */
import { readUnsigned } from '../../../std/arena-numbers.ts'
import { parseUuid } from '../../../std/uuid.ts'
import { ColumnRows } from '../../processor/columns/columns.ts'
import type { U64Column } from '../../processor/columns/number-columns.ts'
import type { Message, MessageProcessor, Output, ProcessorContext } from '../../processor/processor.ts'
import { readMessage } from '../message-fields.ts'
import {
  categoryOf,
  outcomeField as field,
  fields,
  hasQuantity,
  isReasonKept,
  secondsOf,
} from './outcome-message.ts'

const u32Max = 0xffff_ffff

export class OutcomesByColumns implements MessageProcessor {
  readonly columns: readonly ColumnRows[]
  readonly #context: ProcessorContext
  readonly #rows = new ColumnRows()
  readonly #orgId = this.#rows.u64('org_id')
  readonly #projectId = this.#rows.u64('project_id')
  readonly #keyId = this.#rows.u64('key_id', { isNullable: true })
  readonly #timestamp = this.#rows.u32('timestamp', { type: 'DateTime' })
  readonly #category = this.#rows.u8('category')
  readonly #outcome = this.#rows.u8('outcome')
  readonly #reason = this.#rows.key('reason', { isNullable: true })
  readonly #quantity = this.#rows.u32('quantity')
  readonly #quantity64 = this.#rows.u64('quantity64')
  readonly #eventId = this.#rows.uuid('event_id', { isNullable: true })

  constructor(context: ProcessorContext) {
    this.#context = context
    this.columns = [this.#rows]
  }

  process({ value }: Message, output: Output): void {
    const context = this.#context
    readMessage(value, fields.set)
    const kind = fields.unsigned(field.outcome, 0xff)
    if (fields.isAbsent(field.orgId)) this.#orgId.putDefault()
    else putU64(this.#orgId, field.orgId)
    if (fields.isMissing(field.projectId)) this.#projectId.putDefault()
    else putU64(this.#projectId, field.projectId)
    if (fields.isMissing(field.keyId)) this.#keyId.putNull()
    else putU64(this.#keyId, field.keyId)
    this.#timestamp.put(secondsOf(context))
    this.#outcome.put(kind)
    this.#category.put(categoryOf(kind, context))
    if (hasQuantity(kind, context)) this.#putQuantity()
    else {
      this.#quantity64.putWords(1, 0)
      this.#quantity.put(1)
    }
    if (isReasonKept(kind)) this.#reason.putJson(fields.start(field.reason), fields.end(field.reason))
    else this.#reason.putNull()
    this.#putEventId()
    output.endRow()
  }

  /** In full, and again in 32 bits: 0 if it does not fit. */
  #putQuantity(): void {
    putU64(this.#quantity64, field.quantity)
    this.#quantity.put(readUnsigned(fields.start(field.quantity), fields.end(field.quantity), u32Max) ?? 0)
  }

  #putEventId(): void {
    const start = fields.start(field.eventId)
    const isSimple = start > 0 && fields.end(field.eventId) - start === 34
    if (isSimple && this.#eventId.putHex(start + 1)) return
    if (fields.isMissing(field.eventId)) this.#eventId.putNull()
    else this.#eventId.put(parseUuid(fields.text(field.eventId)) ?? fields.refuse(field.eventId, 'a UUID'))
  }
}

function putU64(column: U64Column, field: number): void {
  if (!column.putDigits(fields.start(field), fields.end(field)))
    fields.refuse(field, 'an integer from 0 to 2^64 - 1')
}
