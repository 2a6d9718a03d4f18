/** Metrics of releases' health, written down plainly after Snuba's PolymorphicMetricsProcessor. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import { type CreateProcessor, enforceRetention } from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'
import { bytesOf, checksum, tagKey, tagsOf } from './series.ts'
import {
  type Fields,
  fields,
  float,
  listOf,
  parseMessage,
  string,
  truncate,
  unsigned,
} from './strict-json.ts'

const readFloat = (message: Fields) => new JsonFloat(message.required('value', float))

function valuesOf(message: Fields) {
  const none = { set_values: null, count_value: null, distribution_values: null }
  const type = message.required('type', string)
  if (type === 'c') return { ...none, metric_type: 'counter', count_value: readFloat(message) }
  if (type === 's')
    return { ...none, metric_type: 'set', set_values: message.required('value', listOf(unsigned(64))) }
  if (type !== 'd') throw new InvalidMessage('Expected one of c, s and d.', { path: 'type' })
  const values = message.required('value', listOf(float)).map((value) => new JsonFloat(value))
  return { ...none, metric_type: 'distribution', distribution_values: values }
}

export const createProcessor: CreateProcessor = ({ retention }) => ({
  process({ value, offset, partition }, output) {
    const message = fields(parseMessage(value), '')
    const orgId = message.required('org_id', unsigned(64))
    const projectId = message.required('project_id', unsigned(64))
    const metricId = message.required('metric_id', unsigned(64))
    const tags = message.required('tags', tagsOf(unsigned(64)))
    message.optional('sentry_received_timestamp', float)
    const series = [orgId, projectId, metricId].map(bytesOf)
    for (const [name, number] of tags) series.push(Buffer.from(name), bytesOf(number))
    output.row({
      use_case_id: message.withDefault('use_case_id', string, 'sessions'),
      org_id: orgId,
      project_id: projectId,
      metric_id: metricId,
      timestamp: truncate(message.required('timestamp', float), 32),
      retention_days: enforceRetention(Number(message.required('retention_days', unsigned(16))), retention),
      'tags.key': tags.map(([name]) => tagKey(name)),
      'tags.value': tags.map(([, number]) => number),
      ...valuesOf(message),
      materialization_version: 4,
      timeseries_id: checksum(series),
      partition,
      offset,
    })
  },
})
