/** Costs of calls to language models, written down plainly after Snuba's LlmProxyCostProcessor. */
import type { CreateProcessor, Row } from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'
import { secondsOf } from './seconds.ts'
import { fields, float, parseMessage, string, unsigned } from './strict-json.ts'

export const createProcessor: CreateProcessor = ({ nowMs }) => ({
  process({ value }, output) {
    const message = fields(parseMessage(value, 'unless unread'), '')
    const row: Record<string, Row[string]> = {}
    row.timestamp = message.withDefault('timestamp', secondsOf(nowMs), 0n)
    for (const name of ['org_id', 'project_id']) row[name] = message.withDefault(name, unsigned(64), 0n)
    for (const name of ['feature', 'model', 'region', 'call_type', 'litellm_call_id'])
      row[name] = message.withDefault(name, string, '')
    for (const name of ['prompt_tokens', 'completion_tokens', 'cache_read_tokens', 'cache_write_tokens'])
      row[name] = message.withDefault(name, unsigned(32), 0n)
    for (const name of [
      'total_cost_usd',
      'input_cost_usd',
      'output_cost_usd',
      'cache_read_cost_usd',
      'cache_write_cost_usd',
      'litellm_cost_usd',
      'response_time_ms',
    ])
      row[name] = new JsonFloat(message.withDefault(name, float, 0))
    for (const name of ['is_long_context', 'is_regional'])
      row[name] = message.withDefault(name, unsigned(8), 0n)
    output.row(row)
  },
})
