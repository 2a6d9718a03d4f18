/** Pieces of continuous profiles: one row a message. Behaviour of Snuba's ProfileChunksProcessor. */
import { createProfileRows } from './profile-row.ts'

export const createProfileChunks = createProfileRows([
  { field: 'project_id', kind: 'u64' },
  { field: 'profiler_id', kind: 'uuid' },
  { field: 'chunk_id', kind: 'uuid' },
  { field: 'start_timestamp', kind: 'micros' },
  { field: 'end_timestamp', kind: 'micros' },
  { field: 'environment', kind: 'string', absent: 'null', null: 'null' },
])
