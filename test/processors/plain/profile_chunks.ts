/** Chunks of profiles, written down plainly after Snuba's ProfileChunksProcessor. */
import { type CreateProcessor, enforceRetention } from '../../../src/datasets/processor/processor.ts'
import { signed64 } from './signed.ts'
import { fields, float, parseMessage, string, truncate, unsigned, uuid } from './strict-json.ts'

export const createProcessor: CreateProcessor = ({ retention }) => ({
  process({ value, offset, partition }, output) {
    const message = fields(parseMessage(value, 'unless unread'), '')
    message.required('received', signed64)
    const days = message.optional('retention_days', unsigned(16))
    output.row({
      project_id: message.required('project_id', unsigned(64)),
      profiler_id: message.required('profiler_id', uuid),
      chunk_id: message.required('chunk_id', uuid),
      start_timestamp: truncate(message.required('start_timestamp', float) * 1e6, 64),
      end_timestamp: truncate(message.required('end_timestamp', float) * 1e6, 64),
      environment: message.optional('environment', string) ?? null,
      retention_days: enforceRetention(days === undefined ? undefined : Number(days), retention),
      offset,
      partition,
    })
  },
})
