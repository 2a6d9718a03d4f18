/** Metadata of transaction profiles: one row a message. Behaviour of Snuba's ProfilesMessageProcessor. */
import { createProfileRows } from './profile-row.ts'

export const createProfiles = createProfileRows([
  { field: 'android_api_level', kind: 'u32', absent: 'null', null: 'null' },
  { field: 'architecture', kind: 'string', absent: 'null', null: 'null' },
  { field: 'device_classification', kind: 'string', absent: '""' },
  { field: 'device_locale', kind: 'string' },
  { field: 'device_manufacturer', kind: 'string' },
  { field: 'device_model', kind: 'string' },
  { field: 'device_os_build_number', kind: 'string', absent: 'null', null: 'null' },
  { field: 'device_os_name', kind: 'string' },
  { field: 'device_os_version', kind: 'string' },
  { field: 'duration_ns', kind: 'u64' },
  { field: 'environment', kind: 'string', absent: 'null', null: 'null' },
  { field: 'organization_id', kind: 'u64' },
  { field: 'platform', kind: 'string' },
  { field: 'profile_id', kind: 'uuid' },
  { field: 'project_id', kind: 'u64' },
  { field: 'received', kind: 'i64' },
  { field: 'trace_id', kind: 'uuid' },
  { field: 'transaction_id', kind: 'uuid' },
  { field: 'transaction_name', kind: 'string' },
  { field: 'version_code', kind: 'string' },
  { field: 'version_name', kind: 'string' },
])
