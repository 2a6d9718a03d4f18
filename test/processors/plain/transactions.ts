/** Transactions, written down plainly after Snuba's TransactionsMessageProcessor. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type ProcessorContext,
  type Row,
} from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'
import { hasAddress } from './addresses.ts'
import {
  type Dictionary,
  daysOf,
  dictionary,
  dictionaryOr,
  extraContexts,
  extraTags,
  hexadecimal,
  inRange,
  isTrue,
  micros,
  pairsAsDictionary,
  pythonUuid,
  rawOf,
  required,
  sortedPairs,
  textOf,
  timeText,
} from './python.ts'
import { Fields, Float, float, type Json, parseMessage, string, truncate, unsigned } from './strict-json.ts'
import { compareBytes, list, refuseDeep } from './unicodify.ts'

const groupIdsMax = 10
const spansMax = 2000
const statuses = [
  'ok',
  'cancelled',
  'unknown',
  'invalid_argument',
  'deadline_exceeded',
  'not_found',
  'already_exists',
  'permission_denied',
  'resource_exhausted',
  'failed_precondition',
  'aborted',
  'out_of_range',
  'unimplemented',
  'internal_error',
  'unavailable',
  'data_loss',
  'unauthenticated',
]
const unknownStatus = 2

export const createProcessor: CreateProcessor = (context) => ({
  process({ value, partition, offset }, output) {
    const found = findTransaction(refuseDeep(parseMessage(value, 'refuse', 'of any size')))
    if (found === undefined) return output.skip('no transaction')
    const { event, data } = found
    const timestamp = micros(required(data, 'timestamp'), 'timestamp')
    const retentionDays = retentionOf(event, context)
    const nowMicros = BigInt(Math.floor(context.nowMs())) * 1000n
    if ((inRange(timestamp) ?? nowMicros) < nowMicros - BigInt(retentionDays) * 86_400_000_000n)
      return output.skip('event too old')
    const row: Record<string, Row[string]> = {
      deleted: 0,
      retention_days: retentionDays,
      partition,
      offset,
      ...baseColumns(event, data),
      ...timeColumns(data, nowMicros),
      ...tagColumns(event, data),
      ...nestedColumns('measurements', data.get('measurements')),
      ...nestedColumns('span_op_breakdowns', breakdownsOf(data)),
      ...spanColumns(data),
      ...requestColumns(data),
    }
    addContexts(row, data)
    output.row(row)
    output.times({ originMs: receivedMs(data) })
  },
})

/** The event and its data; nothing for what is no transaction. */
function findTransaction(message: Json): { event: Dictionary; data: Dictionary } | undefined {
  if (!Array.isArray(message) || message.length < 2) return undefined
  const [version = null, type, event] = message
  const number = typeof version === 'boolean' || typeof version === 'bigint' ? Number(version) : version
  const known = number instanceof Float ? number.value : number
  if (known !== 0 && known !== 1 && known !== 2) return undefined
  if (event === undefined) throw new InvalidMessage('The message has no event.')
  if (type !== 'insert') return undefined
  const fields = dictionary(event, '[2]')
  const data = dictionary(required(fields, 'data'), 'data')
  if (data.get('type') !== 'transaction') return undefined
  const contexts = data.get('contexts')
  if (contexts === undefined || !isTrue(dictionary(contexts, 'contexts').get('trace'))) return undefined
  return { event: fields, data }
}

function retentionOf(event: Dictionary, { retention }: ProcessorContext): number {
  return enforceRetention(daysOf(event.get('retention_days')), retention)
}

function traceOf(data: Dictionary): Dictionary {
  return dictionary(required(dictionary(required(data, 'contexts'), 'contexts'), 'trace'), 'trace')
}

function baseColumns(event: Dictionary, data: Dictionary): Row {
  const trace = traceOf(data)
  const sdk = dictionaryOr(data, 'sdk')
  const status = trace.get('status')
  if (isTrue(status) && (Array.isArray(status) || status instanceof Fields))
    throw new InvalidMessage('A status is a text.', { path: 'status' })
  const code = statuses.indexOf(typeof status === 'string' ? status : '')
  const groups = event.get('group_ids')
  return {
    event_id: pythonUuid(required(event, 'event_id'), 'event_id'),
    project_id: unsigned(64)(required(event, 'project_id'), 'project_id'),
    trace_id: pythonUuid(required(trace, 'trace_id'), 'trace_id'),
    span_id: hexadecimal(required(trace, 'span_id'), 'span_id'),
    transaction_op: orEmpty(trace.get('op')),
    transaction_name: orEmpty(data.get('transaction')),
    transaction_source: orEmpty(dictionaryOr(data, 'transaction_info').get('source')),
    transaction_status: code < 0 ? unknownStatus : code,
    platform: textOf(required(event, 'platform')),
    group_ids: isTrue(groups)
      ? list(groups, 'group_ids')
          .slice(0, groupIdsMax)
          .map((group) => unsigned(64)(group, 'group_ids'))
      : [],
    sdk_name: orEmpty(sdk.get('name')),
    sdk_version: orEmpty(sdk.get('version')),
  }
}

/** Times that 32 bits do not hold are now. */
function timeColumns(data: Dictionary, nowMicros: bigint): Row {
  const start = inRange(micros(required(data, 'start_timestamp'), 'start_timestamp')) ?? nowMicros
  const finish = inRange(micros(required(data, 'timestamp'), 'timestamp')) ?? nowMicros
  const seconds = Number(finish - start) / 1_000_000
  return {
    start_ts: timeText(start),
    start_ms: millisecondsOf(start),
    finish_ts: timeText(finish),
    finish_ms: millisecondsOf(finish),
    duration: Math.max(Math.trunc(seconds * 1000), 0),
  }
}

function millisecondsOf(time: bigint): number {
  return Number((((time % 1_000_000n) + 1_000_000n) % 1_000_000n) / 1000n)
}

function tagColumns(event: Dictionary, data: Dictionary): Row {
  const tags = pairsAsDictionary(data.get('tags'), 'tags')
  const extra = extraTags(tags)
  const replay = tags.get('replayId')
  return {
    'tags.key': extra.key,
    'tags.value': extra.value,
    release: rawOf(tags.has('sentry:release') ? tags.get('sentry:release') : event.get('release')),
    environment: rawOf(tags.get('environment')),
    user: tags.has('sentry:user') ? rawOf(tags.get('sentry:user')) : '',
    dist: textOf(tags.has('sentry:dist') ? tags.get('sentry:dist') : data.get('dist')),
    replay_id: isTrue(replay) ? tagUuid(string(replay, 'replayId')) : undefined,
  }
}

/** A tag may be anything. */
function tagUuid(text: string): string | undefined {
  try {
    return pythonUuid(text, 'replayId')
  } catch (error) {
    if (error instanceof InvalidMessage) return undefined
    throw error
  }
}

function breakdownsOf(data: Dictionary): Json | undefined {
  const breakdowns = data.get('breakdowns')
  if (breakdowns === undefined || breakdowns === null) return undefined
  return dictionary(breakdowns, 'breakdowns').get('span_ops')
}

/** Numbers by name; left out as a whole if something is not as it should be. */
function nestedColumns(name: string, value: Json | undefined): Row {
  if (!(value instanceof Fields)) return {}
  const kept: [string, number][] = []
  for (const [key, one] of sortedPairs(dictionary(value, name), name)) {
    if (one === null) continue
    if (!(one instanceof Fields)) return {}
    const number = dictionary(one, key).get('value')
    if (typeof number === 'boolean') kept.push([key, Number(number)])
    else if (typeof number === 'bigint' || number instanceof Float) kept.push([key, float(number, key)])
  }
  return {
    [`${name}.key`]: kept.map(([key]) => key),
    [`${name}.value`]: kept.map(([, number]) => new JsonFloat(number)),
  }
}

type Span = { op: string; group: bigint; time: number }

function spanColumns(data: Dictionary): Row {
  const given = data.has('spans') ? list(required(data, 'spans'), 'spans') : []
  const spans = [traceOf(data)].flatMap(spanOf)
  for (const span of given) {
    if (spans.length >= spansMax) break
    spans.push(...spanOf(dictionary(span, 'spans[]')))
  }
  spans.sort(
    (one, other) =>
      compareBytes(one.op, other.op) ||
      (one.group < other.group ? -1 : one.group > other.group ? 1 : one.time - other.time),
  )
  return {
    'spans.op': spans.map(({ op }) => op),
    'spans.group': spans.map(({ group }) => group),
    'spans.exclusive_time': spans.map(() => new JsonFloat(0)),
    'spans.exclusive_time_32': spans.map(({ time }) => new JsonFloat(time)),
  }
}

function spanOf(span: Dictionary): Span[] {
  const [op = null, group = null, time = null] = ['op', 'hash', 'exclusive_time'].map((name) =>
    span.get(name),
  )
  if (op === null || group === null || time === null) return []
  return [
    {
      op: string(op, 'op'),
      group: hexadecimal(group, 'hash'),
      time: typeof time === 'boolean' ? Number(time) : float(time, 'exclusive_time'),
    },
  ]
}

function requestColumns(data: Dictionary): Row {
  const request = data.has('request')
    ? dictionaryOr(data, 'request')
    : dictionaryOr(data, 'sentry.interfaces.Http')
  const headers = pairsAsDictionary(request.get('headers'), 'headers')
  return { http_method: textOf(request.get('method')), http_referer: textOf(headers.get('Referer')) }
}

function addContexts(row: Record<string, Row[string]>, data: Dictionary): void {
  const user = data.has('user') ? dictionaryOr(data, 'user') : dictionaryOr(data, 'sentry.interfaces.User')
  const contexts = dictionary(required(data, 'contexts'), 'contexts')
  const geo = user.get('geo')
  if (!contexts.has('geo') && (!isTrue(geo) || geo instanceof Fields)) contexts.set('geo', geo ?? null)
  const own = new Map<string, Json | Dictionary>(contexts)
  for (const name of ['trace', 'app', 'profile', 'replay'])
    if (isPresent(contexts.get(name))) own.set(name, dictionary(required(contexts, name), name))
  promote(row, {
    app: mapOf(own.get('app')),
    profile: mapOf(own.get('profile')),
    replay: mapOf(own.get('replay')),
  })
  trimTrace(mapOf(own.get('trace')))
  const extra = extraContexts(own)
  row['contexts.key'] = extra.key
  row['contexts.value'] = extra.value
  row.user_name = textOf(user.get('username'))
  row.user_id = textOf(user.get('id'))
  row.user_email = textOf(user.get('email'))
  Object.assign(row, hasAddress(textOf(user.get('ip_address')) ?? ''))
}

/** What has a column of its own leaves its context. */
function promote(
  row: Record<string, Row[string]>,
  { app, profile, replay }: { app: Dictionary; profile: Dictionary; replay: Dictionary },
): void {
  const start = app.get('start_type')
  if (isPresent(start)) row.app_start_type = rawOf(start)
  const profileId = profile.get('profile_id')
  if (isPresent(profileId)) row.profile_id = pythonUuid(profileId, 'profile_id')
  const profilerId = profile.get('profiler_id')
  if (isPresent(profilerId)) row.profiler_id = pythonUuid(profilerId, 'profiler_id')
  const replayId = replay.get('replay_id')
  if (isPresent(replayId)) {
    const uuid = pythonUuid(replayId, 'replay_id')
    row.replay_id = uuid
    const [keys, values] = [row['tags.key'], row['tags.value']]
    if (Array.isArray(keys) && Array.isArray(values) && !keys.includes('replayId')) {
      keys.push('replayId')
      values.push(uuid.replaceAll('-', ''))
    }
  }
  app.delete('start_type')
  for (const name of ['profile_id', 'profiler_id']) profile.delete(name)
  replay.delete('replay_id')
}

function trimTrace(trace: Dictionary): void {
  const data = trace.get('data')
  for (const name of ['trace_id', 'span_id', 'data']) trace.delete(name)
  const thread = data instanceof Fields ? dictionary(data, 'data').get('thread.id') : undefined
  if (thread !== undefined) trace.set('thread_id', thread === null ? 'None' : (textOf(thread) ?? ''))
  for (const name of ['hash', 'exclusive_time']) trace.delete(name)
}

function mapOf(value: Json | Dictionary | undefined): Dictionary {
  return value instanceof Map ? value : new Map()
}

function isPresent(value: Json | undefined): value is Exclude<Json, null> {
  return value !== undefined && value !== null
}

/** `x or ""`. */
function orEmpty(value: Json | undefined): string {
  return isTrue(value) ? (textOf(value) ?? '') : ''
}

/** When the event was received; unknown if that is absent or no time. */
function receivedMs(data: Dictionary): number | undefined {
  if (!data.has('received')) return undefined
  const value = required(data, 'received')
  // To Python's `int` true and false are integers.
  const received = typeof value === 'boolean' ? Number(value) : float(value, 'received')
  if (received <= -1 || Math.trunc(received) > 0xffff_ffff) return undefined
  return Number(truncate(received, 32)) * 1000
}
