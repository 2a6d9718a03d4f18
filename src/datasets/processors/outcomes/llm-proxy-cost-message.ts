/** A message about the cost of a model's call, whichever way its row is written. */
import { arenaBytes } from '../../../std/arena.ts'
import type { ProcessorContext } from '../../processor/processor.ts'
import { PayloadFields } from '../payload/payload-fields.ts'
import { payloadSeconds } from '../payload/payload-time.ts'

const memory = arenaBytes()

/** Fields in the order of the columns. All may be absent, none may be null. */
export const kinds = {
  timestamp: 'time',
  org_id: 'u64',
  project_id: 'u64',
  feature: 'string',
  model: 'string',
  region: 'string',
  call_type: 'string',
  prompt_tokens: 'u32',
  completion_tokens: 'u32',
  cache_read_tokens: 'u32',
  cache_write_tokens: 'u32',
  total_cost_usd: 'float',
  input_cost_usd: 'float',
  output_cost_usd: 'float',
  cache_read_cost_usd: 'float',
  cache_write_cost_usd: 'float',
  litellm_cost_usd: 'float',
  is_long_context: 'u8',
  is_regional: 'u8',
  response_time_ms: 'float',
  litellm_call_id: 'string',
} as const

export type CostField = keyof typeof kinds

const names = Object.keys(kinds)
export const fields = new PayloadFields(names)

const timestamp = names.indexOf('timestamp')

/** The place of a field in the set. */
export function costField(name: CostField): number {
  return names.indexOf(name)
}

/** Seconds since 1970; an absent time is 1970, one of another form now. */
export function secondsOf({ nowMs }: ProcessorContext): number {
  if (fields.isAbsent(timestamp)) return 0
  if (memory[fields.start(timestamp)] !== 0x22) fields.refuse(timestamp, 'a string')
  const seconds = payloadSeconds(fields.start(timestamp), fields.end(timestamp))
  return seconds ?? Math.floor(nowMs() / 1000)
}

/** Refuses a field that is there and no string. */
export function requireString(field: number): void {
  if (memory[fields.start(field)] !== 0x22) fields.refuse(field, 'a string')
}
