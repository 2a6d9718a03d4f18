/** Functions of profiles, written down plainly after Snuba's FunctionsMessageProcessor. */
import type { CreateProcessor } from '../../../src/datasets/processor/processor.ts'
import { signed64 } from './signed.ts'
import {
  boolean,
  fields,
  float,
  type Json,
  listOf,
  parseMessage,
  string,
  truncate,
  unsigned,
  uuid,
} from './strict-json.ts'

const microseconds = (value: Json, path: string) => truncate(float(value, path) * 1e6, 64)

const readFunction = (value: Json, path: string) => {
  const from = fields(value, path)
  return {
    fingerprint: from.required('fingerprint', unsigned(64)),
    name: from.required('function', string),
    is_application: from.required('in_app', boolean) ? 1 : 0,
    package: from.required('package', string),
    durations: from.required('self_times_ns', listOf(unsigned(64))),
    thread_id: from.optional('thread_id', string) ?? '',
  }
}

export const createProcessor: CreateProcessor = () => ({
  process({ value }, output) {
    const message = fields(parseMessage(value, 'unless unread'), '')
    const functions = message.required('functions', listOf(readFunction))
    message.required('received', signed64)
    const profile = {
      environment: message.optional('environment', string) ?? null,
      materialization_version: message.optional('materialization_version', unsigned(8)) ?? 0n,
      platform: message.required('platform', string),
      profile_id: message.required('profile_id', uuid),
      project_id: message.required('project_id', unsigned(64)),
      release: message.optional('release', string) ?? null,
      retention_days: message.required('retention_days', unsigned(32)),
      timestamp: message.required('timestamp', unsigned(64)),
      start_timestamp: message.optional('start_timestamp', microseconds) ?? null,
      end_timestamp: message.optional('end_timestamp', microseconds) ?? null,
      transaction_name: message.required('transaction_name', string),
      profiling_type: message.optional('profiling_type', string) ?? null,
      browser_name: '',
      depth: 0,
      device_classification: 0,
      dist: '',
      os_name: '',
      os_version: '',
      parent_fingerprint: 0,
      path: '',
      transaction_op: '',
      transaction_status: 0,
    }
    if (functions.length === 0) output.skip('no functions')
    for (const one of functions) output.row({ ...profile, ...one })
  },
})
