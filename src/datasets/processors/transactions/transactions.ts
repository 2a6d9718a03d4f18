/**
 * Transactions, as Sentry puts them on the topic `transactions`: `[2, "insert", event, ...]` whose data is of
 * the type `transaction` becomes a row of `transactions_local`. The rows are those of Snuba's
 * TransactionsMessageProcessor; docs/reference/processors/transactions.md lists them.
 */
import { isUtf8 } from 'node:buffer'
import { JsonFloat } from '../../../std/lossless-json.ts'
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
  plainValue,
  pyUuid,
  requestColumns,
  requireHex64,
  requireUnsigned,
  requireUuid,
  retentionOf,
  sortedFields,
  tagColumns,
} from '../event-fields/python-fields.ts'
import { requireTime, timeText, validTime, wholeMs } from '../event-fields/python-time.ts'
import {
  isTruthy,
  numberOf,
  type PyDict,
  type PyValue,
  pyText,
  requireDict,
  type WantedKeys,
} from '../event-fields/python-value.ts'
import { allOf, type Envelope, readEnvelope } from '../event-fields/read-envelope.ts'
import { contextAndUserColumns } from './contexts.ts'
import { spanColumns } from './spans.ts'
import { statusCode } from './status.ts'

const groupIdsMax = 10
const dayMicroseconds = 86_400 * 1e6
const unsigned32Max = 2 ** 32 - 1
/** What a row takes of an event. */
const wanted: WantedKeys = new Map([
  ...allOf(['event_id', 'group_ids', 'platform', 'project_id', 'release', 'retention_days']),
  [
    'data',
    new Map([
      ...allOf(['breakdowns', 'contexts', 'dist', 'measurements', 'received', 'start_timestamp', 'tags']),
      ...allOf(['timestamp', 'transaction', 'transaction_info', 'type']),
      ...allOf(['user', 'sentry.interfaces.User']),
      ['request', allOf(['headers', 'method'])],
      ['sentry.interfaces.Http', allOf(['headers', 'method'])],
      ['sdk', allOf(['name', 'version'])],
      ['spans', allOf(['op', 'hash', 'exclusive_time'])],
    ]),
  ],
])

/** Live option: `max_spans_per_transaction` (2000). */
export const createTransactionsProcessor: CreateProcessor = (context) => {
  if (context.format !== 'JSONEachRow') throw new Error('The transactions processor writes JSONEachRow only.')
  return new TransactionReader(context)
}

class TransactionReader implements MessageProcessor {
  readonly #context: ProcessorContext
  readonly #scanner = new JsonScanner()

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process(message: Message, output: Output): void {
    if (!isUtf8(message.value)) throw new InvalidMessage('The message is not valid UTF-8.')
    this.#scanner.open(message.value)
    const envelope = readEnvelope(this.#scanner, wanted)
    const transaction = this.#select(envelope)
    if (typeof transaction === 'string') {
      output.skip(transaction)
      return
    }
    output.row(this.#row(message, transaction))
    const receivedMs = receivedTime(transaction.data)
    if (receivedMs !== undefined) output.times({ originMs: receivedMs })
  }

  /** The transaction that becomes a row, or why there is none. */
  #select({ version, type, event }: Envelope): Transaction | string {
    if (version === undefined) return 'no event'
    if (![0, 1, 2].includes(numberOf(version) ?? -1)) return 'unsupported version'
    if (event === undefined) throw new InvalidMessage('Expected an event.', { path: '[2]' })
    if (type !== 'insert') return 'no insert'
    const dict = requireDict(event, '[2]')
    const data = requireDict(dict.get('data'), '[2].data')
    if (data.get('type') !== 'transaction') return 'no transaction'
    const contexts = data.has('contexts') ? requireDict(data.get('contexts'), '[2].data.contexts') : undefined
    if (!isTruthy(contexts?.get('trace'))) return 'no trace'
    const retentionDays = this.#retention(dict, data)
    return retentionDays === undefined ? 'event too old' : { event: dict, data, retentionDays }
  }

  /** In days; undefined if the event is older than that. */
  #retention(event: PyDict, data: PyDict): number | undefined {
    const days = enforceRetention(retentionOf(event), this.#context.retention)
    const now = this.#context.nowMs() * 1000
    const time = validTime(requireTime(data.get('timestamp'), '[2].data.timestamp')) ?? now
    return time < now - days * dayMicroseconds ? undefined : days
  }

  #row(message: Message, { event, data, retentionDays }: Transaction): Row {
    const trace = requireDict(requireDict(data.get('contexts'), '').get('trace'), '[2].data.contexts.trace')
    const sdk = isTruthy(data.get('sdk')) ? requireDict(data.get('sdk'), '[2].data.sdk') : new Map()
    const spansMax = numberOf(plainOption(this.#context.live().max_spans_per_transaction)) ?? 2000
    const row = {
      deleted: 0,
      retention_days: retentionDays,
      ...this.#baseColumns({ event, data }, trace),
      ...columnsOfTags(event, data),
      ...floatColumns('measurements', data.get('measurements')),
      ...breakdownColumns(data.get('breakdowns')),
      ...spanColumns(trace, data, spansMax),
      ...requestColumns(withOldName(data, 'request', 'sentry.interfaces.Http'), '[2].data.request'),
      sdk_name: pyText(orEmpty(sdk.get('name'))),
      sdk_version: pyText(orEmpty(sdk.get('version'))),
      partition: message.partition,
      offset: message.offset,
    }
    return { ...row, ...contextAndUserColumns(data, row) }
  }

  #baseColumns({ event, data }: Pick<Transaction, 'event' | 'data'>, trace: PyDict): Row {
    const nowMicroseconds = this.#context.nowMs() * 1000
    const start =
      validTime(requireTime(data.get('start_timestamp'), '[2].data.start_timestamp')) ?? nowMicroseconds
    const finish = validTime(requireTime(data.get('timestamp'), '[2].data.timestamp')) ?? nowMicroseconds
    const info = data.get('transaction_info')
    const source = isTruthy(info) ? requireDict(info, '[2].data.transaction_info').get('source') : ''
    if (!event.has('platform'))
      throw new InvalidMessage('The event has no platform.', { path: '[2].platform' })
    return {
      event_id: requireUuid(event.get('event_id'), '[2].event_id'),
      project_id: requireUnsigned(event.get('project_id'), '[2].project_id'),
      trace_id: requireUuid(trace.get('trace_id'), '[2].data.contexts.trace.trace_id'),
      span_id: requireHex64(trace.get('span_id'), '[2].data.contexts.trace.span_id'),
      transaction_op: pyText(orEmpty(trace.get('op'))),
      transaction_name: pyText(orEmpty(data.get('transaction'))),
      transaction_source: pyText(orEmpty(source)),
      start_ts: timeText(start),
      start_ms: Math.trunc(microsecondsOf(start) / 1000),
      transaction_status: statusCode(trace.get('status')),
      finish_ts: timeText(finish),
      finish_ms: Math.trunc(microsecondsOf(finish) / 1000),
      duration: Math.max(wholeMs(finish - start), 0),
      platform: pyText(event.get('platform')),
      group_ids: groupIds(event.get('group_ids')),
    }
  }
}

type Transaction = { event: PyDict; data: PyDict; retentionDays: number }

function groupIds(value: PyValue | undefined): (number | bigint)[] {
  if (!isTruthy(value)) return []
  if (!Array.isArray(value)) throw new InvalidMessage('Expected a list.', { path: '[2].group_ids' })
  return value.slice(0, groupIdsMax).map((id, index) => requireUnsigned(id, `[2].group_ids[${index}]`))
}

function columnsOfTags(event: PyDict, data: PyDict): Row {
  const tags = asDict(data.get('tags'), '[2].data.tags')
  const { keys, values } = tagColumns(tags)
  const replayId = tags.get('replayId')
  if (isTruthy(replayId) && typeof replayId !== 'string')
    throw new InvalidMessage('Expected a text.', { path: '[2].data.tags.replayId' })
  return {
    'tags.key': keys,
    'tags.value': values,
    release: plainValue(tags.has('sentry:release') ? tags.get('sentry:release') : event.get('release')),
    environment: plainValue(tags.get('environment')),
    user: tags.has('sentry:user') ? plainValue(tags.get('sentry:user')) : '',
    replay_id: typeof replayId === 'string' ? pyUuid(replayId) : undefined,
    dist: pyText(tags.has('sentry:dist') ? tags.get('sentry:dist') : data.get('dist')),
  }
}

/** Named numbers (`{"fcp": {"value": 1.5}}`) as two columns; none at all if one of them is no object. */
function floatColumns(name: string, value: PyValue | undefined): Row {
  if (!(value instanceof Map)) return {}
  for (const field of value.values()) if (field !== null && !(field instanceof Map)) return {}
  const { keys, values } = sortedFields(value, (field) => {
    const float = field instanceof Map ? numberOf(field.get('value')) : undefined
    return float === undefined ? undefined : new JsonFloat(float)
  })
  if (values.some((float) => !Number.isFinite(float.value))) return {}
  return { [`${name}.key`]: keys, [`${name}.value`]: values }
}

function breakdownColumns(value: PyValue | undefined): Row {
  if (value === null || value === undefined) return {}
  return floatColumns('span_op_breakdowns', requireDict(value, '[2].data.breakdowns').get('span_ops'))
}

function receivedTime(data: PyDict): number | undefined {
  if (!data.has('received')) return undefined
  const received = numberOf(data.get('received'))
  if (received === undefined)
    throw new InvalidMessage('Expected a time in seconds since 1970.', { path: '[2].data.received' })
  const seconds = Math.trunc(received)
  return seconds < 0 || seconds > unsigned32Max ? undefined : seconds * 1000
}

function microsecondsOf(time: number): number {
  return ((time % 1e6) + 1e6) % 1e6
}

function orEmpty(value: PyValue | undefined): PyValue {
  return isTruthy(value) && value !== undefined ? value : ''
}

export function withOldName(data: PyDict, name: string, oldName: string): PyValue | undefined {
  return data.has(name) ? data.get(name) : data.get(oldName)
}

function plainOption(value: unknown): PyValue {
  return typeof value === 'number' ? value : null
}
