/**
 * Every dataset that is filled row by row from a topic: which topic, how a message becomes rows, into which
 * tables. Adding a dataset is adding a storage here and its table in `sql/clickhouse/`.
 */
import { topics } from '../event/topics.ts'
import type { LogRecord } from '../ports/log.ts'
import type { Outcome } from '../stream/outcome.ts'
import { encodeRow, parseObject } from './encode-row.ts'
import type { RowBuffer } from './row-buffer.ts'

export type Storage = {
  /** The dataset's name: its group is `datasets-<name>`. */
  name: string
  topics: readonly string[]
  /** The first is the dataset's own. */
  tables: readonly string[]
  /** `false` for the ledger and the drops: see `Stage`. */
  hasLedger?: boolean
  /** Nobody waits for its rows: they are gathered for longer, since each insert costs by itself. */
  isQuiet?: boolean
  encode: EncodeMessage
}

/**
 * Turns one message into at most one row per table and says what became of it. Synchronous and without
 * effects: the same message always gives the same rows.
 */
export type EncodeMessage = (record: LogRecord, rows: readonly RowBuffer[], owner: number) => Outcome

const written: Outcome = { kind: 'next', records: [] }

function refuse(message: string): Outcome {
  return { kind: 'dead-letter', reason: 'invalid_message', error: new TypeError(message) }
}

const notAnObject = 'The message is not a JSON object.'

/** The message is the row. */
const encodePlain: EncodeMessage = (record, rows, owner) => {
  const [table] = rows
  return table !== undefined && encodeRow(table, record, owner) ? written : refuse(notAnObject)
}

/** Distinct ids that have changed hands go into the overrides as well. */
const encodeDistinctId: EncodeMessage = (record, rows, owner) => {
  const [all, overrides] = rows
  if (all === undefined || overrides === undefined) return refuse(notAnObject)
  const message = parseObject(record.value)
  if (message === undefined || !encodeRow(all, record, owner)) return refuse(notAnObject)
  if (Number(message.version) > 0) encodeRow(overrides, record, owner)
  return written
}

export const storages = [
  { name: 'events', topics: [topics.readyEvents], tables: ['events'], encode: encodePlain },
  { name: 'persons', topics: [topics.readyPersons], tables: ['person'], encode: encodePlain },
  {
    name: 'distinct-ids',
    topics: [topics.readyDistinctIds],
    tables: ['person_distinct_id2', 'person_distinct_id_overrides'],
    encode: encodeDistinctId,
  },
  { name: 'groups', topics: [topics.readyGroups], tables: ['groups'], encode: encodePlain },
  {
    name: 'ingestion-warnings',
    topics: [topics.readyWarnings],
    tables: ['ingestion_warnings'],
    isQuiet: true,
    encode: encodePlain,
  },
  {
    name: 'app-metrics',
    topics: [topics.readyAppMetrics],
    tables: ['app_metrics2'],
    isQuiet: true,
    encode: encodePlain,
  },
  { name: 'log-entries', topics: [topics.readyLogEntries], tables: ['log_entries'], encode: encodePlain },
  { name: 'heatmaps', topics: [topics.readyHeatmaps], tables: ['heatmaps'], encode: encodePlain },
  {
    name: 'ledger',
    topics: [topics.ledger],
    tables: ['ledger'],
    hasLedger: false,
    isQuiet: true,
    encode: encodePlain,
  },
  {
    name: 'drops',
    topics: [topics.drops],
    tables: ['drops'],
    hasLedger: false,
    isQuiet: true,
    encode: encodePlain,
  },
] as const satisfies readonly Storage[]
