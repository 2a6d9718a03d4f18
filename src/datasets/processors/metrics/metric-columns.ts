/** The columns that both kinds of metrics begin with, and what both need for them. */
import type { Adler32 } from '../../../std/adler32.ts'
import { constantPiece } from '../../../std/arena.ts'
import type { ColumnRows } from '../../processor/columns/columns.ts'
import type { U64Column } from '../../processor/columns/number-columns.ts'
import { enforceRetention, type RetentionRule } from '../../processor/processor.ts'
import { truncateToU32 } from '../message-fields.ts'
import { metricField as field, type MetricFields } from './metric.ts'

const sessions = constantPiece('sessions')

export class MetricColumns {
  readonly #read: MetricFields
  readonly #rows: ColumnRows
  readonly #useCase
  readonly #orgId
  readonly #projectId
  readonly #metricId
  readonly #timestamp
  readonly #retentionDays
  /** Of the row in hand. */
  days = 0

  constructor(read: MetricFields, rows: ColumnRows) {
    this.#read = read
    this.#rows = rows
    this.#useCase = this.#rows.key('use_case_id')
    this.#orgId = this.#rows.u64('org_id')
    this.#projectId = this.#rows.u64('project_id')
    this.#metricId = this.#rows.u64('metric_id')
    this.#timestamp = this.#rows.u32('timestamp', { type: 'DateTime' })
    this.#retentionDays = this.#rows.u16('retention_days')
  }

  /** Adds the values of a message's row; its ids are the first that a time series is made of. */
  put(retention: RetentionRule, sum: Adler32): void {
    const read = this.#read
    if (read.has(field.useCaseId)) {
      read.string(field.useCaseId)
      this.#useCase.putJson(read.start(field.useCaseId), read.end(field.useCaseId))
    } else this.#useCase.putPiece(sessions.start, sessions.end)
    sum.reset()
    this.#putId(this.#orgId, field.orgId, sum)
    this.#putId(this.#projectId, field.projectId, sum)
    this.#putId(this.#metricId, field.metricId, sum)
    this.#timestamp.put(truncateToU32(read.float(field.timestamp)))
    this.days = enforceRetention(read.unsigned(field.retentionDays, 0xffff), retention)
    this.#retentionDays.put(this.days)
  }

  #putId(column: U64Column, id: number, sum: Adler32): void {
    if (!column.putDigits(this.#read.start(id), this.#read.end(id))) this.#read.u64(id)
    sum.words(column.lastLow(), column.lastHigh())
  }
}
