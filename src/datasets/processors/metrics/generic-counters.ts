/**
 * Counters among the generic metrics: one row for a counter, none for another type. Behaviour of Snuba's
 * GenericCountersMetricsProcessor. A message whose header names another type is skipped unread; one without
 * the header is checked whole, as a counter would be, and then skipped by its type.
 *
 * The live option `generic_metrics_use_case_killswitch` is a text; a use case whose name is part of it makes
 * no rows.
 */
import { Adler32 } from '../../../std/adler32.ts'
import { constantPiece, put, putAscii, putUnsigned, reserve, writtenRow } from '../../../std/arena.ts'
import { readText } from '../../../std/arena-json.ts'
import { floatText } from '../../../std/lossless-json.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
} from '../../processor/processor.ts'
import { putTruncated, readMessage, truncateToU32 } from '../message-fields.ts'
import { timeMs } from '../seconds-to-ms.ts'
import { metricField as field, MetricFields } from './metric.ts'
import { hasEscape, isString, Tags } from './tags.ts'

const skips = { notCounter: 'not a counter', switchedOff: 'use case switched off' } as const
const typeHeader = 'metric_type'
const noLabels = {}
const killSwitch = 'generic_metrics_use_case_killswitch'
const timestamp = constantPiece(',"timestamp":')
const retentionDays = constantPiece(',"retention_days":')
const minRetentionDays = constantPiece(',"min_retention_days":')
const tagNames = constantPiece(',"tags.key":[')
const tagIndices = constantPiece('],"tags.indexed_value":[')
const tagValues = constantPiece('],"tags.raw_value":[')
const counterValue = constantPiece('],"metric_type":"counter","materialization_version":3,"count_value":')
const timeseries = constantPiece(',"timeseries_id":')
const granularities = constantPiece(',"granularities":[1,2,3]')
const finerGranularities = constantPiece(',"granularities":[1,2,3,0]')
const samplingWeight = constantPiece(',"sampling_weight":')
const withMeta = constantPiece(',"record_meta":1}')
const withoutMeta = constantPiece(',"record_meta":0}')
/** More than the names of all columns and the numbers of the record take. */
const rowBytesExtra = 1024

const tags = new Tags(isString)
/** Most messages are of another type, so tags are kept only when a row needs them. */
const read = new MetricFields((at, depth) => tags.inspect(at, depth))
const sum = new Adler32()

export const createGenericCounters: CreateProcessor = (context) => new GenericCounters(context)

class GenericCounters implements MessageProcessor {
  readonly #context: ProcessorContext

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process({ value, headers }: Message, output: Output): void {
    const type = headers[typeHeader]
    if (type !== undefined && type !== 'c') {
      output.skip(skips.notCounter)
      return
    }
    readMessage(value, read.set)
    if (this.#isSwitchedOff()) {
      output.skip(skips.switchedOff)
      return
    }
    checkMetric()
    const receivedMs = timeMs(Math.trunc(read.float(field.received)))
    if (read.type() !== 'c') {
      output.skip(skips.notCounter)
      return
    }
    reserve(2 * value.length + rowBytesExtra)
    putRow(enforceRetention(read.unsigned(field.retentionDays, 0xffff), this.#context.retention))
    output.times({ receivedMs })
    output.splice(writtenRow(), '}')
  }

  #isSwitchedOff(): boolean {
    const option = this.#context.live()[killSwitch]
    if (typeof option !== 'string') return false
    if (!option.includes(read.text(field.useCaseId))) return false
    this.#context.count('consumer_generic_metrics_killswitched_use_case', 1, noLabels)
    return true
  }
}

/** What a message of any type must have. The rest is checked when the row is written. */
function checkMetric(): void {
  read.string(field.useCaseId)
  read.u64(field.orgId)
  read.u64(field.projectId)
  read.u64(field.metricId)
  read.float(field.timestamp)
  read.unsigned(field.retentionDays, 0xffff)
  read.string(field.type)
  if (!read.has(field.tags)) read.refuse(field.tags, 'an object')
  if (!read.has(field.value)) read.refuse(field.value, 'a value')
  if (!read.isMissing(field.samplingWeight)) read.float(field.samplingWeight)
  if (!read.isMissing(field.aggregationOption)) read.string(field.aggregationOption)
  tags.check()
}

function putRow(days: number): void {
  tags.read(read.start(field.tags), 1)
  read.putIds('')
  put(timestamp)
  putUnsigned(truncateToU32(read.float(field.timestamp)))
  put(retentionDays)
  putUnsigned(days)
  put(minRetentionDays)
  putUnsigned(days & 0xff)
  put(tagNames)
  tags.putNames()
  put(tagIndices)
  for (let tag = 0; tag < tags.count; tag++) putAscii(tag === 0 ? '0' : ',0')
  put(tagValues)
  tags.putValues()
  put(counterValue)
  putAscii(floatText(read.float(field.value)))
  put(timeseries)
  putUnsigned(timeseriesOf())
  put(hasTenSeconds() ? finerGranularities : granularities)
  if (!read.isMissing(field.samplingWeight)) {
    put(samplingWeight)
    putTruncated(read.float(field.samplingWeight))
  }
  put(isEscalating() ? withoutMeta : withMeta)
}

function hasTenSeconds(): boolean {
  return !read.isMissing(field.aggregationOption) && read.text(field.aggregationOption) === 'ten_second'
}

function timeseriesOf(): number {
  sum.reset()
  sum.digits(read.start(field.orgId), read.end(field.orgId))
  sum.digits(read.start(field.projectId), read.end(field.projectId))
  sum.digits(read.start(field.metricId), read.end(field.metricId))
  for (let tag = 0; tag < tags.count; tag++) {
    tags.addName(tag, sum)
    const start = tags.valueStart(tag)
    const end = tags.valueEnd(tag)
    if (!hasEscape(start, end)) sum.piece(start + 1, end - 1)
    else sum.text(readText(start, end))
  }
  return sum.sum()
}

function isEscalating(): boolean {
  const length = read.end(field.useCaseId) - read.start(field.useCaseId)
  // No other name of this length is worth decoding; an escape only makes a name longer.
  return length >= 'escalating_issues'.length + 2 && read.text(field.useCaseId) === 'escalating_issues'
}
