/** One query of a message's list: its fields, found once, and what the columns need of them. */
import { put, putAscii, putByte, putText, putUnsigned, textOf } from '../../../std/arena.ts'
import { JsonFloat, type LosslessValue, parseLosslessText } from '../../../std/lossless-json.ts'
import { parseUuid } from '../../../std/uuid.ts'
import { putTruncated } from '../message-fields.ts'
import { emptyText, nilUuid, PayloadFields, putQuoted, zero } from '../payload/payload-fields.ts'
import { putStrings } from '../payload/payload-list.ts'
import { float32Text, sortedText } from './stats-text.ts'

const [sql, status, traceId, statsField, profileField, resultField] = [0, 1, 2, 3, 4, 5] as const
const [consistent, final, cacheHit, maxThreads, clickhouseTable, queryId, isDuplicate] = [
  0, 1, 2, 4, 5, 6, 7,
] as const
const [timeRange, allColumns, multiLevel, where, groupby, arrayJoin] = [0, 1, 2, 3, 4, 5] as const
const [columns, mappingColumns] = [0, 1] as const
const [bytesField, progressBytes, elapsed] = [0, 1, 2] as const

/** Kept out of the stored statistics where they are null. */
const optionalStats = ['consistent', 'cache_hit', 'max_threads', 'is_duplicate']

/** Puts the JSON of one column. */
export type PutQuery = (query: QueryFields) => void

export class QueryFields {
  readonly #query: PayloadFields
  readonly #stats: PayloadFields
  readonly #profile: PayloadFields
  readonly #where: PayloadFields
  readonly #result: PayloadFields
  #statsText = ''
  #sample = '0.0'

  /** `after`: the fields around the queries. */
  constructor(after: PayloadFields) {
    const path = 'query_list[].'
    this.#query = new PayloadFields(['sql', 'status', 'trace_id', 'stats', 'profile', 'result_profile'], {
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
      { path: `${path}stats.`, after: this.#query },
    )
    this.#profile = new PayloadFields(
      [
        'time_range',
        'all_columns',
        'multi_level_condition',
        'where_profile',
        'groupby_cols',
        'array_join_cols',
      ],
      { path: `${path}profile.`, after: this.#stats },
    )
    this.#where = new PayloadFields(['columns', 'mapping_cols'], {
      path: `${path}profile.where_profile.`,
      after: this.#profile,
    })
    this.#result = new PayloadFields(['bytes', 'progress_bytes', 'elapsed'], {
      path: `${path}result_profile.`,
      after: this.#where,
    })
  }

  /** Reads the query at `at` and returns the place after it. */
  read(at: number): number {
    const end = this.#query.read(at)
    this.#stats.readFrom(this.#query, statsField)
    this.#profile.readFrom(this.#query, profileField)
    this.#where.readFrom(this.#profile, where)
    if (this.#query.isMissing(resultField)) this.#result.clear()
    else this.#result.readFrom(this.#query, resultField)
    this.#readStats()
    return end
  }

  /** The columns, in their order. */
  static readonly columns: Readonly<Record<string, PutQuery>> = {
    sql: (query) => query.#query.putString(sql),
    status: (query) => query.#query.putString(status),
    trace_id: (query) => query.#putTraceId(),
    stats: (query) => putText(JSON.stringify(query.#statsText)),
    final: (query) => putByte(query.#flag(final)),
    cache_hit: (query) => putUnsigned(query.#stats.optionalUnsigned(cacheHit, 0xff) ?? 0),
    sample: (query) => putAscii(query.#sample),
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
    const trace = this.#query.optionalText(traceId) ?? ''
    if (trace === '') {
      put(nilUuid)
      return
    }
    const uuid = parseUuid(trace) ?? this.#query.refuse(traceId, 'a UUID')
    putQuoted(uuid)
  }

  /** `consistent` may be null, `final` not. */
  #flag(field: number): number {
    const isUnset = field === consistent ? this.#stats.isMissing(field) : this.#stats.isAbsent(field)
    return !isUnset && this.#stats.boolean(field) ? 0x31 : 0x30
  }

  #putStat(field: number): void {
    if (this.#stats.isAbsent(field)) put(emptyText)
    else this.#stats.putString(field)
  }

  #putResult(field: number): void {
    if (this.#result.isAbsent(field)) put(zero)
    else this.#result.putU64(field)
  }

  #readStats(): void {
    const fields = this.#query
    const source = textOf(fields.start(statsField), fields.end(statsField))
    const parsed: LosslessValue = parseLosslessText(source)
    if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed) || parsed instanceof JsonFloat)
      return
    this.#sample = sampleText(parsed.sample)
    for (const name of optionalStats) if (parsed[name] === null) delete parsed[name]
    parsed.final ??= false
    parsed.sample ??= null
    parsed.clickhouse_table ??= ''
    parsed.query_id ??= ''
    this.#statsText = sortedText(parsed, source)
  }
}

/** A number of 32 bits; what is none counts as 0. */
function sampleText(value: LosslessValue | undefined): string {
  if (typeof value === 'number' || typeof value === 'bigint') return float32Text(Number(value))
  return value instanceof JsonFloat ? float32Text(value.value) : '0.0'
}

function putNames(from: PayloadFields, field: number): void {
  if (from.isAbsent(field) || !putStrings(from.start(field))) from.refuse(field, 'a list of strings')
}
