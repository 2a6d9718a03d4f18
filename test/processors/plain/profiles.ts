/** Profiles, written down plainly after Snuba's ProfilesMessageProcessor. */
import { type CreateProcessor, enforceRetention } from '../../../src/datasets/processor/processor.ts'
import { signed64 } from './signed.ts'
import { fields, parseMessage, string, unsigned, uuid } from './strict-json.ts'

export const createProcessor: CreateProcessor = ({ retention }) => ({
  process({ value, offset, partition }, output) {
    const message = fields(parseMessage(value, 'unless unread'), '')
    const days = message.optional('retention_days', unsigned(16))
    output.row({
      android_api_level: message.optional('android_api_level', unsigned(32)) ?? null,
      architecture: message.optional('architecture', string) ?? null,
      device_classification: message.withDefault('device_classification', string, ''),
      device_locale: message.required('device_locale', string),
      device_manufacturer: message.required('device_manufacturer', string),
      device_model: message.required('device_model', string),
      device_os_build_number: message.optional('device_os_build_number', string) ?? null,
      device_os_name: message.required('device_os_name', string),
      device_os_version: message.required('device_os_version', string),
      duration_ns: message.required('duration_ns', unsigned(64)),
      environment: message.optional('environment', string) ?? null,
      organization_id: message.required('organization_id', unsigned(64)),
      platform: message.required('platform', string),
      profile_id: message.required('profile_id', uuid),
      project_id: message.required('project_id', unsigned(64)),
      received: message.required('received', signed64),
      retention_days: enforceRetention(days === undefined ? undefined : Number(days), retention),
      trace_id: message.required('trace_id', uuid),
      transaction_id: message.required('transaction_id', uuid),
      transaction_name: message.required('transaction_name', string),
      version_code: message.required('version_code', string),
      version_name: message.required('version_name', string),
      offset,
      partition,
    })
  },
})
