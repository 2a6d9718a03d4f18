/** Pieces of continuous profiles: one row a message. Behaviour of Snuba's ProfileChunksProcessor. */
import { constantPiece, put, putByte, putUnsigned, reserve, writtenRow } from '../../../std/arena.ts'
import { JsonFieldSet } from '../../../std/arena-json.ts'
import type {
  CreateProcessor,
  Message,
  MessageProcessor,
  Output,
  ProcessorContext,
} from '../../processor/processor.ts'
import { FieldColumns, FieldReader, readMessage } from '../message-fields.ts'
import { timeMs } from '../seconds-to-ms.ts'
import { retentionOf } from './retention.ts'

const columns = new FieldColumns([
  { field: 'project_id', kind: 'u64' },
  { field: 'profiler_id', kind: 'uuid' },
  { field: 'chunk_id', kind: 'uuid' },
  { field: 'start_timestamp', kind: 'micros' },
  { field: 'end_timestamp', kind: 'micros' },
  { field: 'environment', kind: 'string', absent: 'null', null: 'null' },
])
const fields = new JsonFieldSet([...columns.names, 'received', 'retention_days'])
const read = new FieldReader(fields)
const received = fields.names.indexOf('received')
const retentionDays = fields.names.indexOf('retention_days')
const offsetColumn = constantPiece('{"offset":')
const partitionColumn = constantPiece(',"partition":')
const retentionColumn = constantPiece(',"retention_days":')
/** More than the names of all columns, UUIDs with hyphens and numbers of the record take. */
const rowBytesExtra = 512

export const createProfileChunks: CreateProcessor = (context) => new ProfileChunks(context)

class ProfileChunks implements MessageProcessor {
  readonly #context: ProcessorContext

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process({ value, offset, partition }: Message, output: Output): void {
    readMessage(value, fields)
    reserve(value.length + rowBytesExtra)
    put(offsetColumn)
    putUnsigned(offset)
    put(partitionColumn)
    putUnsigned(partition)
    put(retentionColumn)
    putUnsigned(retentionOf(read, retentionDays, this.#context.retention))
    columns.put(fields)
    putByte(0x7d)
    output.times({ originMs: timeMs(read.seconds(received)) })
    output.splice(writtenRow(), '}')
  }
}
