/** What generic counters are read with, and what decides about a row, whichever way it is written. */
import { arenaBytes } from '../../../std/arena.ts'
import { foundLargeNumber } from '../../../std/arena-json.ts'
import type { Message, Output, ProcessorContext } from '../../processor/processor.ts'
import { readMessage } from '../message-fields.ts'
import { timeMs } from '../seconds-to-ms.ts'
import { metricField as field, MetricFields } from './metric.ts'
import { Tags } from './tags.ts'

const memory = arenaBytes()

const skips = { notCounter: 'not a counter', switchedOff: 'use case switched off' } as const
const typeHeader = 'metric_type'
const noLabels = {}
const killSwitch = 'generic_metrics_use_case_killswitch'

export const tags = new Tags('texts')
/** Most messages are of another type, so tags are kept only when a row needs them. */
export const read = new MetricFields((at, depth) => tags.inspect(at, depth))

/**
 * Reads the message and checks what every metric must have. Answers whether it becomes a row, and skips it
 * otherwise.
 */
export function readCounter({ value, headers }: Message, context: ProcessorContext, output: Output): boolean {
  const type = headers[typeHeader]
  if (type !== undefined && type !== 'c') {
    output.skip(skips.notCounter)
    return false
  }
  readMessage(value, read.set)
  if (isSwitchedOff(context)) {
    output.skip(skips.switchedOff)
    return false
  }
  checkMetric()
  requireNumber(field.received)
  if (read.type() !== 'c') {
    output.skip(skips.notCounter)
    return false
  }
  tags.read(read.start(field.tags), 1)
  return true
}

/** When the message in hand was received; a time out of range is none. */
export function receivedMs(): number | undefined {
  return timeMs(Math.trunc(read.float(field.received)))
}

export function hasTenSeconds(): boolean {
  return !read.isMissing(field.aggregationOption) && read.text(field.aggregationOption) === 'ten_second'
}

export function isEscalating(): boolean {
  const length = read.end(field.useCaseId) - read.start(field.useCaseId)
  // No other name of this length is worth decoding; an escape only makes a name longer.
  return length >= 'escalating_issues'.length + 2 && read.text(field.useCaseId) === 'escalating_issues'
}

function isSwitchedOff({ live, count }: ProcessorContext): boolean {
  const option = live()[killSwitch]
  if (typeof option !== 'string') return false
  if (!option.includes(read.text(field.useCaseId))) return false
  count('consumer_generic_metrics_killswitched_use_case', 1, noLabels)
  return true
}

/** What a message of any type must have. The rest is checked when the row is written. */
function checkMetric(): void {
  read.string(field.useCaseId)
  read.u64(field.orgId)
  read.u64(field.projectId)
  read.u64(field.metricId)
  requireNumber(field.timestamp)
  read.unsigned(field.retentionDays, 0xffff)
  read.string(field.type)
  if (!read.has(field.tags)) read.refuse(field.tags, 'an object')
  if (!read.has(field.value)) read.refuse(field.value, 'a value')
  if (!read.isMissing(field.samplingWeight)) requireNumber(field.samplingWeight)
  if (!read.isMissing(field.aggregationOption)) read.string(field.aggregationOption)
  tags.check()
}

/** Checks a number without reading it: most messages become no rows. */
function requireNumber(place: number): void {
  const first = read.has(place) ? (memory[read.start(place)] ?? 0) : 0
  const isNumber = first === 0x2d || (first >= 0x30 && first <= 0x39)
  // A number may be beyond the range of doubles only if some number of the message is.
  if (!isNumber || foundLargeNumber()) read.float(place)
}
