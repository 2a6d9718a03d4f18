/** Queries that were run, written down plainly after Snuba's QuerylogProcessor. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import type { CreateProcessor, Row } from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'
import {
  anything,
  boolean,
  type Fields,
  Float,
  fields,
  float,
  type Json,
  kept,
  listOf,
  parseMessage,
  sortedFields,
  string,
  truncate,
  unsigned,
  uuid,
} from './strict-json.ts'

const nilUuid = '00000000-0000-0000-0000-000000000000'

type Cell = Exclude<Row[string], undefined>
type Query = Record<string, Cell>

/** The columns of one query, without what comes before their names. */
function queryOf(query: Fields): Query {
  const stats = fields(query.required('stats', kept), 'stats')
  const profile = query.required('profile', fields)
  const where = profile.required('where_profile', fields)
  const result = query.optional('result_profile', fields)
  const traceId = query.optional('trace_id', string) ?? ''
  const known = knownStats(stats)
  return {
    sql: query.required('sql', string),
    status: query.required('status', string),
    trace_id: traceId === '' ? nilUuid : uuid(traceId, 'trace_id'),
    stats: statsText(stats, known),
    final: known.final ? 1 : 0,
    cache_hit: known.cacheHit ?? 0n,
    sample: new JsonFloat(shortFloat(known.sample)),
    max_threads: known.maxThreads ?? 0n,
    num_days: profile.optional('time_range', unsigned(32)) ?? 0n,
    clickhouse_table: known.table,
    query_id: known.queryId,
    is_duplicate: known.isDuplicate ?? 0n,
    consistent: known.consistent === true ? 1 : 0,
    all_columns: profile.required('all_columns', listOf(string)),
    or_conditions: profile.required('multi_level_condition', boolean) ? 1 : 0,
    where_columns: where.required('columns', listOf(string)),
    where_mapping_columns: where.required('mapping_cols', listOf(string)),
    groupby_columns: profile.required('groupby_cols', listOf(string)),
    array_join_columns: profile.required('array_join_cols', listOf(string)),
    bytes_scanned: result?.withDefault('progress_bytes', unsigned(64), 0n) ?? 0n,
    bytes: result?.withDefault('bytes', unsigned(64), 0n) ?? 0n,
    duration_ms: truncate((result?.withDefault('elapsed', float, 0) ?? 0) * 1000, 64),
  }
}

type KnownStats = ReturnType<typeof knownStats>

function knownStats(stats: Fields) {
  return {
    consistent: stats.optional('consistent', boolean),
    final: stats.withDefault('final', boolean, false),
    cacheHit: stats.optional('cache_hit', unsigned(8)),
    sample: stats.withDefault('sample', anything, null),
    maxThreads: stats.optional('max_threads', unsigned(8)),
    table: stats.withDefault('clickhouse_table', string, ''),
    queryId: stats.withDefault('query_id', string, ''),
    isDuplicate: stats.optional('is_duplicate', unsigned(8)),
  }
}

const knownNames = [
  'consistent',
  'final',
  'cache_hit',
  'sample',
  'max_threads',
  'clickhouse_table',
  'query_id',
  'is_duplicate',
]

/** All statistics in the order of their names; of the known ones some are there only if they were sent. */
function statsText(stats: Fields, known: KnownStats): string {
  const all = new Map<string, Json>()
  for (const { name, value } of stats.list) if (!knownNames.includes(name)) all.set(name, value)
  if (known.consistent !== undefined) all.set('consistent', known.consistent)
  all.set('final', known.final)
  if (known.cacheHit !== undefined) all.set('cache_hit', known.cacheHit)
  all.set('sample', known.sample)
  if (known.maxThreads !== undefined) all.set('max_threads', known.maxThreads)
  all.set('clickhouse_table', known.table)
  all.set('query_id', known.queryId)
  if (known.isDuplicate !== undefined) all.set('is_duplicate', known.isDuplicate)
  return sortedFields(all)
}

/** A number as 32 bits would print it: with as few digits as tell it from other floats of 32 bits. */
function shortFloat(sample: Json): number {
  const value = typeof sample === 'bigint' ? Number(sample) : sample instanceof Float ? sample.value : 0
  const narrow = Math.fround(value)
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(narrow.toPrecision(digits))
    if (Object.is(Math.fround(short), narrow)) return short
  }
  return narrow
}

export const createProcessor: CreateProcessor = () => ({
  process({ value, partition, offset }, output) {
    const message = fields(parseMessage(value, 'unless unread'), '')
    const request = message.required('request', fields)
    const timing = message.required('timing', fields)
    const body = request.find('body')
    if (body === undefined) throw new InvalidMessage('The field is required.', { path: 'request.body' })
    const queries = message.required('query_list', listOf(fields)).map(queryOf)
    const row: Record<string, Cell> = {
      request_id: request.required('id', uuid),
      request_body: body.source,
      referrer: request.required('referrer', string),
      dataset: message.required('dataset', string),
      projects: message.required('projects', listOf(unsigned(64))),
      organization: message.optional('organization', unsigned(64)) ?? null,
      status: message.required('status', string),
      partition,
      offset,
      timestamp: timing.required('timestamp', unsigned(64)),
      duration_ms: timing.required('duration_ms', unsigned(64)),
    }
    for (const name of columnNames)
      row[`clickhouse_queries.${name}`] = queries.map((query) => query[name] ?? null)
    output.row(row)
  },
})

/** The columns of a query, also where a message holds none. */
const columnNames = [
  'sql',
  'status',
  'trace_id',
  'stats',
  'final',
  'cache_hit',
  'sample',
  'max_threads',
  'num_days',
  'clickhouse_table',
  'query_id',
  'is_duplicate',
  'consistent',
  'all_columns',
  'or_conditions',
  'where_columns',
  'where_mapping_columns',
  'groupby_columns',
  'array_join_columns',
  'bytes_scanned',
  'bytes',
  'duration_ms',
]
