/** Counters of generic metrics, written down plainly after Snuba's GenericCountersMetricsProcessor. */
import { type CreateProcessor, enforceRetention } from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'
import { bytesOf, checksum, tagKey, tagsOf } from './series.ts'
import { anything, fields, float, parseMessage, string, truncate, unsigned } from './strict-json.ts'

export const createProcessor: CreateProcessor = ({ retention, live }) => ({
  process({ value, headers }, output) {
    const header = headers.metric_type
    if (header !== undefined && header !== 'c') return output.skip('another type by its header')
    const message = fields(parseMessage(value, 'unless unread'), '')
    const useCase = message.required('use_case_id', string)
    const killed = live().generic_metrics_use_case_killswitch
    if (typeof killed === 'string' && killed.includes(useCase)) return output.skip('use case switched off')
    const orgId = message.required('org_id', unsigned(64))
    const projectId = message.required('project_id', unsigned(64))
    const metricId = message.required('metric_id', unsigned(64))
    const timestamp = truncate(message.required('timestamp', float), 32)
    message.required('sentry_received_timestamp', float)
    const tags = message.required('tags', tagsOf(string))
    const type = message.required('type', string)
    message.required('value', anything)
    const days = enforceRetention(Number(message.required('retention_days', unsigned(16))), retention)
    const weight = message.optional('sampling_weight', float)
    const aggregation = message.optional('aggregation_option', string)
    if (type !== 'c') return output.skip('another type')
    const series = [orgId, projectId, metricId].map(bytesOf)
    for (const [name, text] of tags) series.push(Buffer.from(name), Buffer.from(text))
    output.row({
      use_case_id: useCase,
      org_id: orgId,
      project_id: projectId,
      metric_id: metricId,
      timestamp,
      retention_days: days,
      'tags.key': tags.map(([name]) => tagKey(name)),
      'tags.indexed_value': tags.map(() => 0),
      'tags.raw_value': tags.map(([, text]) => text),
      metric_type: 'counter',
      materialization_version: 3,
      timeseries_id: checksum(series),
      granularities: aggregation === 'ten_second' ? [1, 2, 3, 0] : [1, 2, 3],
      sampling_weight: weight === undefined ? undefined : truncate(weight, 64),
      min_retention_days: days % 256,
      record_meta: useCase === 'escalating_issues' ? 0 : 1,
      count_value: new JsonFloat(message.required('value', float)),
    })
  },
})
