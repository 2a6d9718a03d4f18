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
import { floatText } from '../../../std/lossless-json.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
} from '../../processor/processor.ts'
import { putTruncated, truncateToU32 } from '../message-fields.ts'
import { hasTenSeconds, isEscalating, read, readCounter, receivedMs, tags } from './counters-message.ts'
import { GenericCountersByColumns } from './generic-counters-columns.ts'
import { metricField as field } from './metric.ts'

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

const sum = new Adler32()

export const createGenericCounters: CreateProcessor = (context) =>
  context.format === 'Native' ? new GenericCountersByColumns(context) : new GenericCounters(context)

class GenericCounters implements MessageProcessor {
  readonly #context: ProcessorContext

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process(message: Message, output: Output): void {
    if (!readCounter(message, this.#context, output)) return
    reserve(2 * message.value.length + rowBytesExtra)
    putRow(enforceRetention(read.unsigned(field.retentionDays, 0xffff), this.#context.retention))
    output.times({ receivedMs: receivedMs() })
    output.splice(writtenRow(), '}')
  }
}

function putRow(days: number): void {
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

function timeseriesOf(): number {
  sum.reset()
  sum.digits(read.start(field.orgId), read.end(field.orgId))
  sum.digits(read.start(field.projectId), read.end(field.projectId))
  sum.digits(read.start(field.metricId), read.end(field.metricId))
  for (let tag = 0; tag < tags.count; tag++) {
    tags.addName(tag, sum)
    tags.addText(tag, sum)
  }
  return sum.sum()
}
