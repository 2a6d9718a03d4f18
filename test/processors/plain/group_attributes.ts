/** Attributes of groups, written down plainly after Snuba's GroupAttributesMessageProcessor. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import type { CreateProcessor } from '../../../src/datasets/processor/processor.ts'
import type { Read } from './strict-json.ts'
import { boolean, fields, parseMessage, string, unsigned } from './strict-json.ts'

/** The insert would refuse what a column cannot hold, and all other rows with it. */
const small = unsigned(8)
const large = unsigned(64)

/** A value or null, but not absent. */
function orNull<Value>(read: Read<Value>): Read<Value | null> {
  return (value, path) => (value === null ? null : read(value, path))
}

/** `2023-02-27T15:40:12.223Z` with one to six digits of a fraction becomes `2023-02-27 15:40:12`. */
const firstSeen: Read<string> = (value, path) => {
  const text = string(value, path)
  const found = /^(\d{4})-(\d{1,2})-(\d{1,2})T(\d{1,2}):(\d{1,2}):(\d{1,2})\.\d{1,6}Z$/.exec(text)
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found?.slice(1).map(Number) ?? []
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  if (year < 100) date.setUTCFullYear(year, month - 1, day)
  const isTime = hour < 24 && minute < 60 && second < 60 && year > 0
  if (found === null || !isTime || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day)
    throw new InvalidMessage('Expected a time.', { path })
  return timeText(date.getTime())
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}

export const createProcessor: CreateProcessor = () => ({
  process({ value, partition, offset, timestampMs }, output) {
    const message = fields(parseMessage(value), '').lastOnes()
    output.row({
      project_id: message.required('project_id', large),
      group_id: message.required('group_id', large),
      group_status: message.required('status', small),
      group_substatus: message.required('substatus', orNull(small)),
      group_priority: message.optional('priority', small) ?? null,
      group_first_release: message.optional('first_release', large) ?? null,
      group_first_seen: message.required('first_seen', firstSeen),
      group_num_comments: message.required('num_comments', large),
      assignee_user_id: message.required('assignee_user_id', orNull(large)),
      assignee_team_id: message.required('assignee_team_id', orNull(large)),
      owner_suspect_commit_user_id: message.required('owner_suspect_commit_user_id', orNull(large)),
      owner_ownership_rule_user_id: message.required('owner_ownership_rule_user_id', orNull(large)),
      owner_ownership_rule_team_id: message.required('owner_ownership_rule_team_id', orNull(large)),
      owner_codeowners_user_id: message.required('owner_codeowners_user_id', orNull(large)),
      owner_codeowners_team_id: message.required('owner_codeowners_team_id', orNull(large)),
      deleted: message.required('group_deleted', orNull(boolean)) ? 1 : 0,
      message_timestamp: timeText(timestampMs),
      partition,
      offset,
    })
  },
})
