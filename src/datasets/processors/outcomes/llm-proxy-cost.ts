/**
 * What calls of language models cost: one row a message, the fields as they are. Behaviour of Snuba's
 * LlmProxyCostProcessor.
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
import { readFloat } from '../../../std/arena-numbers.ts'
import type {
  CreateProcessor,
  Message,
  MessageProcessor,
  Output,
  ProcessorContext,
} from '../../processor/processor.ts'
import { readMessage } from '../message-fields.ts'
import { PayloadFields } from '../payload/payload-fields.ts'
import { payloadSeconds } from '../payload/payload-time.ts'

const memory = arenaBytes()

/** Fields in the order of the columns. All may be absent, none may be null. */
const kinds = {
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

type Kind = (typeof kinds)[keyof typeof kinds]
const zeros: Record<Kind, string> = { time: '0', u64: '0', u32: '0', u8: '0', string: '""', float: '0.0' }
const fields = new PayloadFields(Object.keys(kinds))
const columns = Object.entries(kinds).map(([name, kind], index) => ({
  kind,
  name: constantPiece(`${index === 0 ? '{' : ','}"${name}":`),
  absent: constantPiece(`${index === 0 ? '{' : ','}"${name}":${zeros[kind]}`),
}))
/** More than the names of all columns and their zeros take. */
const rowBytesExtra = 1024

export const createLlmProxyCost: CreateProcessor = (context) => new LlmProxyCost(context)

class LlmProxyCost implements MessageProcessor {
  readonly #context: ProcessorContext

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process({ value }: Message, output: Output): void {
    readMessage(value, fields.set)
    reserve(value.length + rowBytesExtra)
    for (let field = 0; field < columns.length; field++) {
      const column = columns[field]
      if (column === undefined) break
      if (fields.isAbsent(field)) put(column.absent)
      else {
        put(column.name)
        this.#writeValue(field, column.kind)
      }
    }
    putByte(0x7d)
    output.splice(writtenRow(), '}')
  }

  #writeValue(field: number, kind: Kind): void {
    if (kind === 'string') fields.putString(field)
    else if (kind === 'float') this.#writeFloat(field)
    else if (kind === 'u64') fields.putU64(field)
    else if (kind === 'time') putUnsigned(this.#seconds(field))
    else putUnsigned(fields.unsigned(field, kind === 'u32' ? 0xffff_ffff : 0xff))
  }

  #seconds(field: number): number {
    if (memory[fields.start(field)] !== 0x22) fields.refuse(field, 'a string')
    const seconds = payloadSeconds(fields.start(field), fields.end(field))
    return seconds ?? Math.floor(this.#context.nowMs() / 1000)
  }

  /** A number's own text, which reads back the same, with a fraction if it has none. */
  #writeFloat(field: number): void {
    const start = fields.start(field)
    const end = fields.end(field)
    if (readFloat(start, end) === undefined) fields.refuse(field, 'a number')
    putCopy(start, end)
    for (let place = start; place < end; place++) {
      const byte = memory[place]
      if (byte === 0x2e || byte === 0x65 || byte === 0x45) return
    }
    putByte(0x2e)
    putByte(0x30)
  }
}
