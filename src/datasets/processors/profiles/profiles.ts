/** Metadata of transaction profiles: one row a message. Behaviour of Snuba's ProfilesMessageProcessor. */
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
  { field: 'android_api_level', kind: 'u32', absent: 'null', null: 'null' },
  { field: 'architecture', kind: 'string', absent: 'null', null: 'null' },
  { field: 'device_classification', kind: 'string', absent: '""' },
  { field: 'device_locale', kind: 'string' },
  { field: 'device_manufacturer', kind: 'string' },
  { field: 'device_model', kind: 'string' },
  { field: 'device_os_build_number', kind: 'string', absent: 'null', null: 'null' },
  { field: 'device_os_name', kind: 'string' },
  { field: 'device_os_version', kind: 'string' },
  { field: 'duration_ns', kind: 'u64' },
  { field: 'environment', kind: 'string', absent: 'null', null: 'null' },
  { field: 'organization_id', kind: 'u64' },
  { field: 'platform', kind: 'string' },
  { field: 'profile_id', kind: 'uuid' },
  { field: 'project_id', kind: 'u64' },
  { field: 'received', kind: 'i64' },
  { field: 'trace_id', kind: 'uuid' },
  { field: 'transaction_id', kind: 'uuid' },
  { field: 'transaction_name', kind: 'string' },
  { field: 'version_code', kind: 'string' },
  { field: 'version_name', kind: 'string' },
])
const fields = new JsonFieldSet([...columns.names, 'retention_days'])
const read = new FieldReader(fields)
const received = fields.names.indexOf('received')
const retentionDays = fields.names.indexOf('retention_days')
const offsetColumn = constantPiece('{"offset":')
const partitionColumn = constantPiece(',"partition":')
const retentionColumn = constantPiece(',"retention_days":')
/** More than the names of all columns, UUIDs with hyphens and numbers of the record take. */
const rowBytesExtra = 1024

export const createProfiles: CreateProcessor = (context) => new Profiles(context)

class Profiles implements MessageProcessor {
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
