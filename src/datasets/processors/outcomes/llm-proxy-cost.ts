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
import { LlmProxyCostByColumns } from './llm-proxy-cost-columns.ts'
import { fields, kinds, secondsOf } from './llm-proxy-cost-message.ts'

const memory = arenaBytes()

type Kind = (typeof kinds)[keyof typeof kinds]
const zeros: Record<Kind, string> = { time: '0', u64: '0', u32: '0', u8: '0', string: '""', float: '0.0' }
const columns = Object.entries(kinds).map(([name, kind], index) => ({
  kind,
  name: constantPiece(`${index === 0 ? '{' : ','}"${name}":`),
  absent: constantPiece(`${index === 0 ? '{' : ','}"${name}":${zeros[kind]}`),
}))
/** More than the names of all columns and their zeros take. */
const rowBytesExtra = 1024

export const createLlmProxyCost: CreateProcessor = (context) =>
  context.format === 'Native' ? new LlmProxyCostByColumns(context) : new LlmProxyCost(context)

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
    else if (kind === 'time') putUnsigned(secondsOf(this.#context))
    else putUnsigned(fields.unsigned(field, kind === 'u32' ? 0xffff_ffff : 0xff))
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
