/**
 * Release-health metrics of all three types: one row a message. Behaviour of Snuba's
 * PolymorphicMetricsProcessor.
 */
import { Adler32 } from '../../../std/adler32.ts'
import {
  arenaBytes,
  constantPiece,
  put,
  putAscii,
  putByte,
  putCopy,
  putUnsigned,
  reserve,
  writtenRow,
} from '../../../std/arena.ts'
import { skipSpace, skipValue } from '../../../std/arena-json.ts'
import { isU64, readFloat } from '../../../std/arena-numbers.ts'
import { floatText } from '../../../std/lossless-json.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
} from '../../processor/processor.ts'
import { readWholeMessage, truncateToU32 } from '../message-fields.ts'
import { metricField as field } from './metric.ts'
import { MetricsByColumns } from './metrics-columns.ts'
import { invalidValue, read, receivedMs, tags } from './metrics-message.ts'

const memory = arenaBytes()

const timestamp = constantPiece(',"timestamp":')
const retentionDays = constantPiece(',"retention_days":')
const tagNames = constantPiece(',"tags.key":[')
const tagValues = constantPiece('],"tags.value":[')
const counter = constantPiece(
  ',"metric_type":"counter","set_values":null,"distribution_values":null,"count_value":',
)
const set = constantPiece(',"metric_type":"set","count_value":null,"distribution_values":null,"set_values":[')
const distribution = constantPiece(
  ',"metric_type":"distribution","set_values":null,"count_value":null,"distribution_values":[',
)
const timeseries = constantPiece(',"materialization_version":4,"timeseries_id":')
const partitionColumn = constantPiece(',"partition":')
const offsetColumn = constantPiece(',"offset":')
/** More than the names of all columns and the numbers of the record take. */
const rowBytesExtra = 1024
/** An integer becomes a float in the row, `1` becomes `1.0`: no value is longer. */
const valueBytesMax = 32

const sum = new Adler32()

export const createMetrics: CreateProcessor = (context) =>
  context.format === 'Native' ? new MetricsByColumns(context) : new Metrics(context)

class Metrics implements MessageProcessor {
  readonly #context: ProcessorContext

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process({ value, offset, partition }: Message, output: Output): void {
    // Snuba keeps all fields of these messages before it looks at them.
    readWholeMessage(value, read.set)
    reserve(value.length + rowBytesExtra)
    if (!read.has(field.tags)) read.refuse(field.tags, 'an object')
    tags.check()
    if (read.has(field.useCaseId)) read.string(field.useCaseId)
    read.putIds('"sessions"')
    put(timestamp)
    putUnsigned(truncateToU32(read.float(field.timestamp)))
    put(retentionDays)
    putUnsigned(enforceRetention(read.unsigned(field.retentionDays, 0xffff), this.#context.retention))
    put(tagNames)
    tags.putNames()
    put(tagValues)
    tags.putValues()
    putByte(0x5d)
    putValue()
    reserve(rowBytesExtra)
    put(timeseries)
    putUnsigned(timeseriesOf())
    put(partitionColumn)
    putUnsigned(partition)
    put(offsetColumn)
    putUnsigned(offset)
    putByte(0x7d)
    output.times({ receivedMs: receivedMs() })
    output.splice(writtenRow(), '}')
  }
}

function timeseriesOf(): number {
  sum.reset()
  sum.digits(read.start(field.orgId), read.end(field.orgId))
  sum.digits(read.start(field.projectId), read.end(field.projectId))
  sum.digits(read.start(field.metricId), read.end(field.metricId))
  for (let tag = 0; tag < tags.count; tag++) {
    tags.addName(tag, sum)
    sum.digits(tags.valueStart(tag), tags.valueEnd(tag))
  }
  return sum.sum()
}

function putValue(): void {
  if (!read.has(field.value)) read.refuse(field.value, 'a number or an array')
  switch (read.type()) {
    case 'c':
      put(counter)
      putAscii(floatText(read.float(field.value)))
      break
    case 's':
      put(set)
      putValues(false)
      putByte(0x5d)
      break
    case 'd':
      put(distribution)
      putValues(true)
      putByte(0x5d)
      break
    default:
      read.refuse(field.type, 'c, s or d')
  }
}

function putValues(asFloats: boolean): void {
  const start = read.start(field.value)
  if (memory[start] !== 0x5b) read.refuse(field.value, 'an array')
  let at = skipSpace(start + 1)
  while (memory[at] !== 0x5d) {
    const end = skipValue(at, 0)
    reserve(valueBytesMax)
    if (asFloats) putFloat(at, end)
    else if (isU64(at, end)) putCopy(at, end)
    else throw invalidValue('integers from 0 to 2^64 - 1')
    at = skipSpace(end)
    if (memory[at] === 0x2c) {
      putByte(0x2c)
      at = skipSpace(at + 1)
    }
  }
}

function putFloat(start: number, end: number): void {
  const value = readFloat(start, end)
  if (value === undefined) throw invalidValue('numbers')
  putAscii(floatText(value))
}
