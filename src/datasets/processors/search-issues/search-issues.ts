/**
 * Occurrences of issues, as Sentry puts them on the topic `generic-events`: `[2, "insert", event, state]`
 * becomes a row of `search_issues_local_v2`. The rows are those of Snuba's SearchIssuesMessageProcessor;
 * docs/reference/processors/search-issues.md lists them.
 */
import { isUtf8 } from 'node:buffer'
import type { LosslessValue } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
  type Row,
} from '../../processor/processor.ts'
import { JsonScanner } from '../event-fields/json-scanner.ts'
import {
  asDict,
  contextColumns,
  plainValue,
  requestColumns,
  requireUnsigned,
  requireUuid,
  retentionOf,
  tagColumns,
  userColumns,
} from '../event-fields/python-fields.ts'
import { requireTime, requireTimeText, timeText, validTime, wholeMs } from '../event-fields/python-time.ts'
import {
  isTruthy,
  numberOf,
  type PyDict,
  type PyValue,
  pyText,
  requireDict,
  type WantedKeys,
} from '../event-fields/python-value.ts'
import { allOf, readEnvelope } from '../event-fields/read-envelope.ts'

const fingerprintsMax = 99
const dayMicroseconds = 86_400 * 1e6
/** What a row takes of an event. */
const wanted: WantedKeys = new Map([
  ...allOf([
    'datetime',
    'event_id',
    'group_first_seen',
    'group_id',
    'message',
    'organization_id',
    'platform',
  ]),
  ...allOf(['primary_hash', 'project_id', 'retention_days']),
  [
    'occurrence_data',
    allOf([
      ...[
        'culprit',
        'detection_time',
        'fingerprint',
        'id',
        'issue_title',
        'level',
        'resource_id',
        'subtitle',
      ],
      'type',
    ]),
  ],
  [
    'data',
    new Map([
      ...allOf(['client_timestamp', 'contexts', 'dist', 'environment', 'received', 'release']),
      ...allOf(['start_timestamp', 'tags', 'timestamp', 'user']),
      ['request', allOf(['headers', 'method'])],
      ['sdk', allOf(['name', 'version'])],
    ]),
  ],
])

export const createSearchIssuesProcessor: CreateProcessor = (context) => {
  if (context.format !== 'JSONEachRow')
    throw new Error('The search_issues processor writes JSONEachRow only.')
  return new IssueReader(context)
}

class IssueReader implements MessageProcessor {
  readonly #context: ProcessorContext
  readonly #scanner = new JsonScanner()

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process(message: Message, output: Output): void {
    if (!isUtf8(message.value)) throw new InvalidMessage('The message is not valid UTF-8.')
    this.#scanner.open(message.value)
    const { version, type, event } = readEnvelope(this.#scanner, wanted)
    if (version === undefined) throw new InvalidMessage('Expected a list of a version, a type and an event.')
    if (numberOf(version) !== 2) throw new InvalidMessage('Expected the version 2.', { path: '[0]' })
    if (event !== undefined && type !== 'insert')
      throw new InvalidMessage('Expected the type insert.', { path: '[1]' })
    const dict = requireDict(event, '[2]')
    const data = requireDict(dict.get('data'), '[2].data')
    const occurrence = requireDict(dict.get('occurrence_data'), '[2].occurrence_data')
    const detected = requireTime(occurrence.get('detection_time'), '[2].occurrence_data.detection_time')
    const received = requireTime(data.get('received'), '[2].data.received')
    const retentionDays = this.#retention(dict, detected)
    if (retentionDays === undefined) output.skip('event too old')
    else output.row(this.#row(message, { event: dict, data, occurrence, detected, received, retentionDays }))
  }

  /** In days; undefined if the issue was detected longer ago than that. */
  #retention(event: PyDict, detected: number): number | undefined {
    const days = enforceRetention(retentionOf(event), this.#context.retention)
    const now = this.#context.nowMs() * 1000
    return (validTime(detected) ?? now) < now - days * dayMicroseconds ? undefined : days
  }

  #row(message: Message, issue: Issue): Row {
    const { event, data, occurrence } = issue
    const seen = clientTime(event, data)
    return {
      group_id: requireUnsigned(event.get('group_id'), '[2].group_id'),
      group_first_seen: firstSeen(event),
      organization_id: requireUnsigned(event.get('organization_id'), '[2].organization_id'),
      project_id: requireUnsigned(event.get('project_id'), '[2].project_id'),
      event_id: requireUuid(event.get('event_id'), '[2].event_id'),
      search_title: required(occurrence, 'issue_title', '[2].occurrence_data'),
      subtitle: plainValue(occurrence.get('subtitle')),
      culprit: plainValue(occurrence.get('culprit')),
      level: plainValue(occurrence.get('level')),
      primary_hash: requireUuid(event.get('primary_hash'), '[2].primary_hash'),
      fingerprint: fingerprints(occurrence.get('fingerprint')),
      resource_id: plainValue(occurrence.get('resource_id')),
      occurrence_id: requireUuid(occurrence.get('id'), '[2].occurrence_data.id'),
      occurrence_type_id: requireUnsigned(occurrence.get('type'), '[2].occurrence_data.type', 16),
      detection_timestamp: timeText(issue.detected),
      receive_timestamp: timeText(issue.received),
      client_timestamp: timeText(seen),
      platform: required(event, 'platform', '[2]'),
      message: pyText(requiredValue(event, 'message', '[2]')),
      ...columnsOfTags(data),
      ...userColumns(data.has('user') ? requireDict(data.get('user'), '[2].data.user') : new Map()),
      ...requestColumns(data.get('request'), '[2].data.request'),
      ...sdkColumns(data.get('sdk')),
      ...columnsOfContexts(data.get('contexts')),
      transaction_duration: this.#duration(data),
      timestamp_ms: wholeMs(seen),
      message_timestamp: timeText(message.timestampMs * 1000),
      retention_days: issue.retentionDays,
      partition: message.partition,
      offset: message.offset,
    }
  }

  /** Between whole seconds, in ms. */
  #duration(data: PyDict): number {
    const start = numberOf(data.get('start_timestamp'))
    const finish = numberOf(data.get('timestamp'))
    if (start === undefined || finish === undefined) return 0
    const now = this.#context.nowMs() * 1000
    const whole = (seconds: number, path: string) => validTime(requireTime(Math.trunc(seconds), path)) ?? now
    const from = whole(start, '[2].data.start_timestamp')
    return Math.max(wholeMs(whole(finish, '[2].data.timestamp') - from), 0)
  }
}

type Issue = {
  event: PyDict
  data: PyDict
  occurrence: PyDict
  detected: number
  received: number
  retentionDays: number
}

/** When the client saw it, in microseconds since 1970. */
function clientTime(event: PyDict, data: PyDict): number {
  const path = '[2].data.client_timestamp'
  if (isTruthy(data.get('client_timestamp'))) return requireTime(data.get('client_timestamp'), path)
  const time = validTime(requireTimeText(event.get('datetime'), '[2].datetime'))
  if (time === undefined)
    throw new InvalidMessage('Expected a time between 1970 and 2106.', { path: '[2].datetime' })
  return time
}

function firstSeen(event: PyDict): string | null {
  if (!event.has('group_first_seen')) return null
  const time = validTime(requireTimeText(event.get('group_first_seen'), '[2].group_first_seen'))
  return time === undefined ? null : timeText(time)
}

function fingerprints(value: PyValue | undefined): LosslessValue {
  if (!Array.isArray(value))
    throw new InvalidMessage('Expected a list.', { path: '[2].occurrence_data.fingerprint' })
  return plainValue(value.slice(0, fingerprintsMax))
}

function columnsOfTags(data: PyDict): Row {
  const tags = isTruthy(data.get('tags')) ? asDict(data.get('tags'), '[2].data.tags') : new Map()
  const { keys, values } = tagColumns(tags)
  const promoted = (tag: string, field: string) => (tags.has(tag) ? tags.get(tag) : data.get(field))
  return {
    'tags.key': keys,
    'tags.value': values,
    release: plainValue(promoted('sentry:release', 'release')),
    environment: plainValue(promoted('environment', 'environment')),
    user: plainValue(tags.get('sentry:user')),
    dist: pyText(promoted('sentry:dist', 'dist')),
  }
}

function sdkColumns(value: PyValue | undefined): Row {
  const sdk: PyDict = isTruthy(value) ? requireDict(value, '[2].data.sdk') : new Map()
  return { sdk_name: pyText(sdk.get('name')), sdk_version: pyText(sdk.get('version')) }
}

function columnsOfContexts(value: PyValue | undefined): Row {
  const path = '[2].data.contexts'
  const contexts: PyDict = isTruthy(value) ? requireDict(value, path) : new Map()
  const { keys, values } = contextColumns(contexts)
  const promoted = (name: string, key: string) => {
    const context = contexts.get(name)
    const id = isTruthy(context) ? pyText(requireDict(context, `${path}.${name}`).get(key)) : null
    return id === null ? undefined : requireUuid(id, `${path}.${name}.${key}`)
  }
  return {
    'contexts.key': keys,
    'contexts.value': values,
    trace_id: promoted('trace', 'trace_id'),
    profile_id: promoted('profile', 'profile_id'),
    replay_id: promoted('replay', 'replay_id'),
  }
}

function requiredValue(dict: PyDict, key: string, path: string): PyValue {
  const value = dict.get(key)
  if (value === undefined) throw new InvalidMessage(`There is no ${key}.`, { path })
  return value
}

function required(dict: PyDict, key: string, path: string) {
  return plainValue(requiredValue(dict, key, path))
}
