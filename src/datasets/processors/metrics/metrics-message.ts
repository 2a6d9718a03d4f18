/** What release-health metrics are read with, whichever way their rows are written. */
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { timeMs } from '../seconds-to-ms.ts'
import { metricField as field, MetricFields } from './metric.ts'
import { Tags } from './tags.ts'

export const tags = new Tags('integers')
export const read = new MetricFields((at, depth) => tags.read(at, depth))

export function receivedMs(): number | undefined {
  return read.isMissing(field.received) ? undefined : timeMs(Math.trunc(read.float(field.received)))
}

export function invalidValue(what: string): InvalidMessage {
  return new InvalidMessage(`The field value must be an array of ${what}.`, { path: 'value' })
}
