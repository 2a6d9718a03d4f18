/** One query of a message's list: its fields, found once, and what the columns need of them. */
import { arenaBytes, put, putAscii, putByte, putUnsigned } from '../../../std/arena.ts'
import { findFields, skipValue } from '../../../std/arena-json.ts'
import { readFloat } from '../../../std/arena-numbers.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { putTruncated } from '../message-fields.ts'
import { emptyText, nilUuid, PayloadFields, zero } from '../payload/payload-fields.ts'
import { putStrings } from '../payload/payload-list.ts'
import { float32Text } from './float32-text.ts'
import { StatsText } from './stats-text.ts'

const memory = arenaBytes()

const [sql, status, traceId, statsField, profileField, resultField] = [0, 1, 2, 3, 4, 5] as const
const [consistent, final, cacheHit, sample, maxThreads, clickhouseTable, queryId, isDuplicate] = [
  0, 1, 2, 3, 4, 5, 6, 7,
] as const
const [timeRange, allColumns, multiLevel, whereField, groupby, arrayJoin] = [0, 1, 2, 3, 4, 5] as const
const [columns, mappingColumns] = [0, 1] as const
const [bytesField, progressBytes, elapsed] = [0, 1, 2] as const

/** Puts the JSON of one column. */
export type PutQuery = (query: QueryFields) => void

export class QueryFields {
  readonly #query: PayloadFields
  readonly #stats: PayloadFields
  readonly #profile: PayloadFields
  readonly #where: PayloadFields
  readonly #result: PayloadFields
  readonly #statsText: StatsText

  /** `after`: the fields around the queries. */
  constructor(after: PayloadFields) {
    const path = 'query_list[].'
    const query = new PayloadFields(['sql', 'status', 'trace_id', 'stats', 'profile', 'result_profile'], {
      path,
      after,
    })
    this.#stats = new PayloadFields(
      [
        'consistent',
        'final',
        'cache_hit',
        'sample',
        'max_threads',
        'clickhouse_table',
        'query_id',
        'is_duplicate',
      ],
      { path: `${path}stats.`, after: query, inside: { fields: query, field: statsField } },
    )
    const profile = new PayloadFields(
      [
        'time_range',
        'all_columns',
        'multi_level_condition',
        'where_profile',
        'groupby_cols',
        'array_join_cols',
      ],
      { path: `${path}profile.`, after: this.#stats, inside: { fields: query, field: profileField } },
    )
    this.#where = new PayloadFields(['columns', 'mapping_cols'], {
      path: `${path}profile.where_profile.`,
      after: profile,
      inside: { fields: profile, field: whereField },
    })
    this.#result = new PayloadFields(['bytes', 'progress_bytes', 'elapsed'], {
      path: `${path}result_profile.`,
      after: this.#where,
      inside: { fields: query, field: resultField },
    })
    this.#query = query
    this.#profile = profile
    this.#statsText = new StatsText(this.#stats, {
      withDefault: { final: 'false', sample: 'null', clickhouse_table: '""', query_id: '""' },
      withoutNull: [consistent, cacheHit, maxThreads, isDuplicate],
    })
  }

  /** Reads the query at `at`, inside `depth` others, and returns the place after it. */
  read(at: number, depth: number): number {
    if (memory[at] !== 0x7b) {
      skipValue(at, depth)
      throw new InvalidMessage('A query must be an object.', { path: 'query_list[]' })
    }
    const query = this.#query
    const end = findFields(at, query.set, depth)
    this.#stats.enter({ fields: query, field: statsField })
    this.#profile.enter({ fields: query, field: profileField })
    this.#where.enter({ fields: this.#profile, field: whereField })
    if (query.isMissing(resultField)) this.#result.clear()
    else this.#result.enter({ fields: query, field: resultField })
    return end
  }

  /** The columns, in their order. */
  static readonly columns: Readonly<Record<string, PutQuery>> = {
    sql: (query) => query.#query.putString(sql),
    status: (query) => query.#query.putString(status),
    trace_id: (query) => query.#putTraceId(),
    stats: (query) => query.#statsText.put(query.#query.start(statsField)),
    final: (query) => putByte(query.#flag(final)),
    cache_hit: (query) => putUnsigned(query.#stats.optionalUnsigned(cacheHit, 0xff) ?? 0),
    sample: (query) => query.#putSample(),
    max_threads: (query) => putUnsigned(query.#stats.optionalUnsigned(maxThreads, 0xff) ?? 0),
    num_days: (query) => putUnsigned(query.#profile.optionalUnsigned(timeRange, 0xffff_ffff) ?? 0),
    clickhouse_table: (query) => query.#putStat(clickhouseTable),
    query_id: (query) => query.#putStat(queryId),
    is_duplicate: (query) => putUnsigned(query.#stats.optionalUnsigned(isDuplicate, 0xff) ?? 0),
    consistent: (query) => putByte(query.#flag(consistent)),
    all_columns: (query) => putNames(query.#profile, allColumns),
    or_conditions: (query) => putByte(query.#profile.boolean(multiLevel) ? 0x31 : 0x30),
    where_columns: (query) => putNames(query.#where, columns),
    where_mapping_columns: (query) => putNames(query.#where, mappingColumns),
    groupby_columns: (query) => putNames(query.#profile, groupby),
    array_join_columns: (query) => putNames(query.#profile, arrayJoin),
    bytes_scanned: (query) => query.#putResult(progressBytes),
    bytes: (query) => query.#putResult(bytesField),
    duration_ms: (query) => {
      const seconds = query.#result.isAbsent(elapsed) ? 0 : query.#result.float(elapsed)
      putTruncated(seconds * 1000)
    },
  }

  #putTraceId(): void {
    const query = this.#query
    const isEmpty = query.end(traceId) - query.start(traceId) === 2 && memory[query.start(traceId)] === 0x22
    if (query.isMissing(traceId) || isEmpty) put(nilUuid)
    else query.putUuid(traceId)
  }

  /** `consistent` may be null, `final` not. */
  #flag(field: number): number {
    const isUnset = field === consistent ? this.#stats.isMissing(field) : this.#stats.isAbsent(field)
    return !isUnset && this.#stats.boolean(field) ? 0x31 : 0x30
  }

  /** A number of 32 bits; what is none counts as 0. */
  #putSample(): void {
    const isThere = !this.#stats.isMissing(sample)
    const value = isThere ? readFloat(this.#stats.start(sample), this.#stats.end(sample)) : undefined
    putAscii(value === undefined ? '0.0' : float32Text(value))
  }

  #putStat(field: number): void {
    if (this.#stats.isAbsent(field)) put(emptyText)
    else this.#stats.putString(field)
  }

  #putResult(field: number): void {
    if (this.#result.isAbsent(field)) put(zero)
    else this.#result.putU64(field)
  }
}

function putNames(from: PayloadFields, field: number): void {
  if (from.isAbsent(field) || !putStrings(from.start(field))) from.refuse(field, 'a list of strings')
}
