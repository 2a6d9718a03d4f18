/** Occurrences of issues, written down plainly after Snuba's SearchIssuesMessageProcessor. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type ProcessorContext,
  type Row,
} from '../../../src/datasets/processor/processor.ts'
import { hasAddress } from './addresses.ts'
import {
  type Dictionary,
  daysOf,
  dictionary,
  dictionaryOr,
  extraContexts,
  extraTags,
  inRange,
  isTrue,
  micros,
  pairsAsDictionary,
  pythonUuid,
  rawOf,
  required,
  textOf,
  timeText,
} from './python.ts'
import { Float, float, type Json, parseMessage, type Read, string, unsigned } from './strict-json.ts'
import { list, refuseDeep } from './unicodify.ts'

const fingerprintsMax = 99

export const createProcessor: CreateProcessor = (context) => ({
  process(message, output) {
    const event = eventOf(refuseDeep(parseMessage(message.value, 'refuse', 'of any size')))
    const row = rowOf(event, message, context)
    if (row === undefined) return output.skip('event too old')
    output.row(row)
  },
})

function eventOf(message: Json): Dictionary {
  if (!Array.isArray(message) || message.length < 3)
    throw new InvalidMessage('The message is no list of three.')
  const [version = null, type = null, event = null] = message
  const number = version instanceof Float ? version.value : version
  if (number !== 2n && number !== 2) throw new InvalidMessage('The version is unknown.')
  if (type !== 'insert') throw new InvalidMessage('The type is unknown.')
  return dictionary(event, '[2]')
}

function rowOf(event: Dictionary, message: Message, { nowMs, retention }: ProcessorContext): Row | undefined {
  const data = dictionary(required(event, 'data'), 'data')
  const occurrence = dictionary(required(event, 'occurrence_data'), 'occurrence_data')
  const detected = micros(required(occurrence, 'detection_time'), 'detection_time')
  const received = micros(required(data, 'received'), 'received')
  const retentionDays = enforceRetention(daysOf(event.get('retention_days')), retention)
  const nowMicros = BigInt(Math.floor(nowMs())) * 1000n
  if ((inRange(detected) ?? nowMicros) < nowMicros - BigInt(retentionDays) * 86_400_000_000n) return undefined
  const client = clientTime(event, data)
  const firstSeen = event.has('group_first_seen')
    ? inRange(payloadTime(required(event, 'group_first_seen'), 'group_first_seen'))
    : undefined
  return {
    ...eventColumns(event, occurrence),
    ...dataColumns(data),
    ...contextColumns(data),
    group_first_seen: firstSeen === undefined ? null : timeText(firstSeen),
    detection_timestamp: timeText(detected),
    receive_timestamp: timeText(received),
    client_timestamp: timeText(client),
    timestamp_ms: Math.trunc((Number(client) / 1_000_000) * 1000),
    transaction_duration: durationOf(data, nowMicros),
    message_timestamp: timeText(BigInt(message.timestampMs) * 1000n),
    retention_days: retentionDays,
    partition: message.partition,
    offset: message.offset,
  }
}

function eventColumns(event: Dictionary, occurrence: Dictionary): Row {
  const fingerprints = list(required(occurrence, 'fingerprint'), 'fingerprint')
  return {
    organization_id: unsigned(64)(required(event, 'organization_id'), 'organization_id'),
    project_id: unsigned(64)(required(event, 'project_id'), 'project_id'),
    group_id: unsigned(64)(required(event, 'group_id'), 'group_id'),
    event_id: pythonUuid(required(event, 'event_id'), 'event_id'),
    primary_hash: pythonUuid(required(event, 'primary_hash'), 'primary_hash'),
    platform: rawOf(required(event, 'platform')),
    message: textOf(required(event, 'message')),
    search_title: rawOf(required(occurrence, 'issue_title')),
    subtitle: rawOf(occurrence.get('subtitle')),
    culprit: rawOf(occurrence.get('culprit')),
    level: rawOf(occurrence.get('level')),
    resource_id: rawOf(occurrence.get('resource_id')),
    fingerprint: fingerprints.slice(0, fingerprintsMax).map(rawOf),
    occurrence_id: pythonUuid(required(occurrence, 'id'), 'id'),
    occurrence_type_id: unsigned(16)(required(occurrence, 'type'), 'type'),
  }
}

function dataColumns(data: Dictionary): Row {
  const given = data.get('tags')
  const tags = pairsAsDictionary(given, 'tags')
  const extra = isTrue(given) ? extraTags(tags) : { key: [], value: [] }
  const user = data.has('user') ? dictionary(required(data, 'user'), 'user') : new Map<string, Json>()
  const request = dictionaryOr(data, 'request')
  const headers = pairsAsDictionary(request.get('headers'), 'headers')
  const sdk = dictionaryOr(data, 'sdk')
  const tagOr = (tag: string, name: string) => (tags.has(tag) ? tags.get(tag) : data.get(name))
  return {
    'tags.key': extra.key,
    'tags.value': extra.value,
    release: rawOf(tagOr('sentry:release', 'release')),
    environment: rawOf(tagOr('environment', 'environment')),
    user: rawOf(tags.get('sentry:user')),
    dist: textOf(tagOr('sentry:dist', 'dist')),
    user_name: textOf(user.get('username')),
    user_id: textOf(user.get('id')),
    user_email: textOf(user.get('email')),
    ...hasAddress(textOf(user.get('ip_address')) ?? ''),
    http_method: textOf(request.get('method')),
    http_referer: textOf(headers.get('Referer')),
    sdk_name: textOf(sdk.get('name')),
    sdk_version: textOf(sdk.get('version')),
  }
}

function contextColumns(data: Dictionary): Row {
  const contexts = dictionaryOr(data, 'contexts')
  const extra = extraContexts(contexts)
  const idOf = (context: string, name: string) => {
    const text = textOf(dictionaryOr(contexts, context).get(name))
    return text === null ? undefined : pythonUuid(text, name)
  }
  return {
    'contexts.key': extra.key,
    'contexts.value': extra.value,
    trace_id: idOf('trace', 'trace_id'),
    profile_id: idOf('profile', 'profile_id'),
    replay_id: idOf('replay', 'replay_id'),
  }
}

function clientTime(event: Dictionary, data: Dictionary): bigint {
  const given = data.get('client_timestamp')
  if (isTrue(given)) return micros(given, 'client_timestamp')
  const time = inRange(payloadTime(required(event, 'datetime'), 'datetime'))
  if (time === undefined) throw new InvalidMessage('The time is out of range.', { path: 'datetime' })
  return time
}

/** Of whole seconds, in ms. */
function durationOf(data: Dictionary, nowMicros: bigint): number {
  const [start, end] = [data.get('start_timestamp'), data.get('timestamp')]
  if (!isNumber(start) || !isNumber(end)) return 0
  const timeOf = (value: Json) =>
    inRange(micros(BigInt(Math.trunc(numberOf(value))), 'timestamp')) ?? nowMicros
  return Math.max(Math.trunc((Number(timeOf(end) - timeOf(start)) / 1_000_000) * 1000), 0)
}

function isNumber(value: Json | undefined): value is Json {
  return typeof value === 'bigint' || typeof value === 'boolean' || value instanceof Float
}

function numberOf(value: Json): number {
  return typeof value === 'boolean' ? Number(value) : float(value, 'timestamp')
}

const form =
  /^(\d{4})-(1[0-2]|0?[1-9])-(3[01]|[12]\d|0?[1-9])T([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d)\.(\d{1,6})Z$/

/** Microseconds since 1970 of a time with a fraction of one to six digits. */
const payloadTime: Read<bigint> = (value, path) => {
  const found = form.exec(string(value, path)) ?? []
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map(Number)
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (year < 1 || date.getUTCDate() !== day) throw new InvalidMessage('Expected a time.', { path })
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second
  return BigInt(seconds) * 1_000_000n + BigInt((found[7] ?? '').padEnd(6, '0'))
}
