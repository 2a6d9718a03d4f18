/** The keys of an error event that make its row. What is not among them is passed over. */
import { createKeyTable } from '../event-fields/key-table.ts'

export const eventKeys = createKeyTable([
  'data',
  'datetime',
  'event_id',
  'group_id',
  'group_first_seen',
  'message',
  'primary_hash',
  'project_id',
  'retention_days',
  'platform',
])

export const dataKeys = createKeyTable(
  [
    'contexts',
    'culprit',
    'errors',
    'exception',
    'location',
    'modules',
    'received',
    'request',
    'sdk',
    'tags',
    'threads',
    'title',
    'type',
    'user',
    'version',
    'symbolicated_in_app',
    'sample_rate',
  ],
  {
    'sentry.interfaces.Exception': 'exception',
    'sentry.interfaces.Threads': 'threads',
    'sentry.interfaces.User': 'user',
  },
)

export const contextsKeys = createKeyTable(['flags', 'replay', 'trace'])
export const traceKeys = createKeyTable(['sampled', 'span_id', 'trace_id', 'parent_span_id'])
/** Of the trace's other fields these three get into the row; they are read like fields of any context. */
export const traceContextKeys = createKeyTable(['client_sample_rate', 'op', 'status'])
export const valuesKeys = createKeyTable(['values'])
export const flagKeys = createKeyTable(['flag', 'result'])
export const replayKeys = createKeyTable(['replay_id'])
export const exceptionKeys = createKeyTable(['stacktrace', 'mechanism', 'type', 'value', 'thread_id'])
export const mechanismKeys = createKeyTable(['type', 'handled'])
export const stacktraceKeys = createKeyTable(['frames'])
export const threadKeys = createKeyTable(['id', 'main'])
export const requestKeys = createKeyTable(['method', 'headers'])
export const sdkKeys = createKeyTable(['name', 'version', 'integrations'])
export const userKeys = createKeyTable(['email', 'id', 'ip_address', 'username', 'geo'])
export const refererKeys = createKeyTable(['Referer', 'Referrer'])
export const promotedTags = createKeyTable([
  'environment',
  'level',
  'transaction',
  'sentry:release',
  'sentry:dist',
  'sentry:user',
  'replayId',
])

/** Events of this type go to another topic. */
export const refusedTypes = createKeyTable(['transaction'])
export const messageTypes = createKeyTable(['insert'])
export const replacementKeys = createKeyTable(['project_id'])
