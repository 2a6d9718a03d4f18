/** Costs of language models as columns; those of one kind are written one after the other. */
import { ColumnRows } from '../../processor/columns/columns.ts'
import type { U64Column } from '../../processor/columns/number-columns.ts'
import type { Message, MessageProcessor, Output, ProcessorContext } from '../../processor/processor.ts'
import { readMessage } from '../message-fields.ts'
import { type CostField, costField, fields, requireString, secondsOf } from './llm-proxy-cost-message.ts'

const keyFields: readonly CostField[] = ['feature', 'model', 'region', 'call_type']
const tokenFields: readonly CostField[] = [
  'prompt_tokens',
  'completion_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
]
const floatFields: readonly CostField[] = [
  'total_cost_usd',
  'input_cost_usd',
  'output_cost_usd',
  'cache_read_cost_usd',
  'cache_write_cost_usd',
  'litellm_cost_usd',
  'response_time_ms',
]
const flagFields: readonly CostField[] = ['is_long_context', 'is_regional']
const [orgId, projectId, callId] = [
  costField('org_id'),
  costField('project_id'),
  costField('litellm_call_id'),
]

export class LlmProxyCostByColumns implements MessageProcessor {
  readonly columns: readonly ColumnRows[]
  readonly #context: ProcessorContext
  readonly #rows = new ColumnRows()
  readonly #timestamp = this.#rows.u32('timestamp', { type: 'DateTime' })
  readonly #orgId = this.#rows.u64('org_id')
  readonly #projectId = this.#rows.u64('project_id')
  readonly #keys = keyFields.map((name) => ({ field: costField(name), column: this.#rows.key(name) }))
  readonly #tokens = tokenFields.map((name) => ({ field: costField(name), column: this.#rows.u32(name) }))
  readonly #floats = floatFields.map((name) => ({ field: costField(name), column: this.#rows.f64(name) }))
  readonly #flags = flagFields.map((name) => ({ field: costField(name), column: this.#rows.u8(name) }))
  readonly #callId = this.#rows.text('litellm_call_id')

  constructor(context: ProcessorContext) {
    this.#context = context
    this.columns = [this.#rows]
  }

  process({ value }: Message, output: Output): void {
    readMessage(value, fields.set)
    this.#timestamp.put(secondsOf(this.#context))
    putU64(this.#orgId, orgId)
    putU64(this.#projectId, projectId)
    for (const { field, column } of this.#keys) {
      if (fields.isAbsent(field)) column.putDefault()
      else {
        requireString(field)
        column.putJson(fields.start(field), fields.end(field))
      }
    }
    for (const { field, column } of this.#tokens)
      column.put(fields.isAbsent(field) ? 0 : fields.unsigned(field, 0xffff_ffff))
    for (const { field, column } of this.#floats) column.put(fields.isAbsent(field) ? 0 : fields.float(field))
    for (const { field, column } of this.#flags)
      column.put(fields.isAbsent(field) ? 0 : fields.unsigned(field, 0xff))
    this.#putCallId()
    output.endRow()
  }

  #putCallId(): void {
    const field = callId
    if (fields.isAbsent(field)) this.#callId.putDefault()
    else {
      requireString(field)
      this.#callId.putJson(fields.start(field), fields.end(field))
    }
  }
}

function putU64(column: U64Column, field: number): void {
  if (fields.isAbsent(field)) column.putDefault()
  else if (!column.putDigits(fields.start(field), fields.end(field)))
    fields.refuse(field, 'an integer from 0 to 2^64 - 1')
}
