/**
 * One row a message: its columns, where it was in the log, and for how long it is kept. The fields `received`
 * and `retention_days` are no columns unless they are named.
 */
import {
  constantPiece,
  loadMessage,
  put,
  putByte,
  putUnsigned,
  reserve,
  writtenRow,
} from '../../../std/arena.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
} from '../../processor/processor.ts'
import { CopiedColumns } from '../copied-columns.ts'
import { type FieldColumn, FieldReader } from '../message-fields.ts'
import { timeMs } from '../seconds-to-ms.ts'

const offsetColumn = constantPiece('{"offset":')
const partitionColumn = constantPiece(',"partition":')
const retentionColumn = constantPiece(',"retention_days":')
/** More than the names of all columns, UUIDs with hyphens and numbers of the record take. */
const rowBytesExtra = 1024
const unsigned16Max = 0xffff

export function createProfileRows(columns: readonly FieldColumn[]): CreateProcessor {
  const others = ['received', 'retention_days'].filter((name) => columns.every(({ field }) => field !== name))
  const copied = new CopiedColumns(columns, { others })
  return (context) => new ProfileRows(copied, context)
}

class ProfileRows implements MessageProcessor {
  readonly #columns: CopiedColumns
  readonly #read: FieldReader
  readonly #received: number
  readonly #retentionDays: number
  readonly #context: ProcessorContext

  constructor(columns: CopiedColumns, context: ProcessorContext) {
    this.#columns = columns
    this.#read = new FieldReader(columns.set)
    this.#received = columns.set.names.indexOf('received')
    this.#retentionDays = columns.set.names.indexOf('retention_days')
    this.#context = context
  }

  process({ value, offset, partition }: Message, output: Output): void {
    const read = this.#read
    loadMessage(value)
    reserve(value.length + rowBytesExtra)
    put(offsetColumn)
    putUnsigned(offset)
    put(partitionColumn)
    putUnsigned(partition)
    this.#columns.putMessage(value)
    const days = read.isMissing(this.#retentionDays)
      ? undefined
      : read.unsigned(this.#retentionDays, unsigned16Max)
    put(retentionColumn)
    putUnsigned(enforceRetention(days, this.#context.retention))
    putByte(0x7d)
    output.times({ originMs: timeMs(read.seconds(this.#received)) })
    output.splice(writtenRow(), '}')
  }
}
