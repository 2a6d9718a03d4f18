/**
 * The state of issues (status, priority, who owns them), whole each time it changes: one row a message.
 * Behaviour of Snuba's GroupAttributesMessageProcessor, with types checked here and not by the insert.
 */
import {
  constantPiece,
  put,
  putAscii,
  putByte,
  putUnsigned,
  reserve,
  writtenRow,
} from '../../../std/arena.ts'
import { JsonFieldSet } from '../../../std/arena-json.ts'
import type { CreateProcessor, Message, MessageProcessor, Output } from '../../processor/processor.ts'
import { FieldColumns, FieldReader, readWholeMessage } from '../message-fields.ts'
import { columnTime } from '../payload/column-time.ts'
import { putQuoted } from '../payload/payload-fields.ts'

const columns = new FieldColumns([
  { field: 'project_id', kind: 'u64' },
  { field: 'group_id', kind: 'u64' },
  { field: 'status', kind: 'u8', column: 'group_status' },
  { field: 'substatus', kind: 'u8', column: 'group_substatus', null: 'null' },
  { field: 'priority', kind: 'u8', column: 'group_priority', absent: 'null', null: 'null' },
  { field: 'first_release', kind: 'u64', column: 'group_first_release', absent: 'null', null: 'null' },
  { field: 'num_comments', kind: 'u64', column: 'group_num_comments' },
  { field: 'assignee_user_id', kind: 'u64', null: 'null' },
  { field: 'assignee_team_id', kind: 'u64', null: 'null' },
  { field: 'owner_suspect_commit_user_id', kind: 'u64', null: 'null' },
  { field: 'owner_ownership_rule_user_id', kind: 'u64', null: 'null' },
  { field: 'owner_ownership_rule_team_id', kind: 'u64', null: 'null' },
  { field: 'owner_codeowners_user_id', kind: 'u64', null: 'null' },
  { field: 'owner_codeowners_team_id', kind: 'u64', null: 'null' },
  { field: 'group_deleted', kind: 'flag', column: 'deleted', null: '0' },
])
const fields = new JsonFieldSet([...columns.names, 'first_seen'], 0, true)
const read = new FieldReader(fields)
const firstSeen = fields.names.indexOf('first_seen')

/** The only form of times here: a fraction is required. */
const timeForm =
  /^(\d{4})-(1[0-2]|0?[1-9])-(3[01]|[12]\d|0?[1-9])T([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d)\.\d{1,6}Z$/

const place = constantPiece('{"group_first_seen":')
/** More than the names of all columns and the record's place take. */
const rowBytesExtra = 1024

export const createGroupAttributes: CreateProcessor = () => new GroupAttributes()

class GroupAttributes implements MessageProcessor {
  process({ value, partition, offset, timestampMs }: Message, output: Output): void {
    readWholeMessage(value, fields)
    reserve(value.length + rowBytesExtra)
    put(place)
    putQuoted(columnTime(seenMs()))
    putAscii(',"message_timestamp":')
    putQuoted(columnTime(timestampMs))
    putAscii(',"partition":')
    putUnsigned(partition)
    putAscii(',"offset":')
    putUnsigned(offset)
    columns.put(fields)
    putByte(0x7d)
    output.splice(writtenRow(), '}')
  }
}

/** When the issue was first seen, in ms since 1970. */
function seenMs(): number {
  const found = timeForm.exec(read.text(firstSeen))
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = (found ?? []).slice(1).map(Number)
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (found === null || year === 0 || date.getUTCDate() !== day)
    return read.refuse(firstSeen, 'a time such as 2026-08-22T06:57:43.123456Z')
  return date.setUTCHours(hour, minute, second)
}
