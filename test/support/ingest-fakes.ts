/**
 * Ingestion without a server: the real cache and the real computing of people over plain maps, the real
 * de-duplication over a log that holds nothing, and projects as a list of rows.
 */
import { embeddedCacheConfig } from '../../src/adapters/embedded/cache/config.ts'
import { type CacheContext, openEmbeddedCache } from '../../src/adapters/embedded/cache.ts'
import { dedupConfigSchema } from '../../src/ingest/dedup/config.ts'
import { openDedup } from '../../src/ingest/dedup/dedup.ts'
import { changeRecords, changeWarnings, computeBatch } from '../../src/ingest/entities/compute-batch.ts'
import type { Entities } from '../../src/ingest/entities.ts'
import type { IngestPorts } from '../../src/ingest/ingest.ts'
import { personsConfig } from '../../src/ingest/persons/config.ts'
import type { TeamRow } from '../../src/ingest/teams.ts'
import type { Cache } from '../../src/ports/cache.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Database } from '../../src/ports/database.ts'
import type { Log, LogRecord } from '../../src/ports/log.ts'
import type { Random } from '../../src/ports/random.ts'
import { capturedToken } from './captured-records.ts'
import { emptyTables, loadTables, type PersonTables, writeTables } from './person-tables.ts'
import { quietTelemetry } from './quiet.ts'

export function teamRow(row: Partial<TeamRow> = {}): TeamRow {
  return {
    api_token: capturedToken,
    id: 1,
    project_id: 1,
    timezone: 'UTC',
    anonymize_ips: false,
    cookieless_server_hash_mode: 0,
    drop_events_older_than_seconds: null,
    person_processing_opt_out: false,
    heatmaps_opt_in: null,
    ingested_event: true,
    ...row,
  }
}

export type FakeIngest = IngestPorts & { tables: PersonTables; statements: string[] } & AsyncDisposable

export async function openFakeIngest(
  given: { clock: Clock; random: Random },
  options: { teams?: TeamRow[]; records?: LogRecord[] } = {},
): Promise<FakeIngest> {
  const { teams = [teamRow()], records = [] } = options
  const telemetry = quietTelemetry()
  const statements: string[] = []
  const tables = emptyTables()
  const database = listDatabase(teams, statements)
  const base = { ...given, ...telemetry, database }
  const cache = await openTestCache(base)
  const log = emptyLog(records)
  const signal = new AbortController().signal
  const dedup = await openDedup({ ...base, log }, dedupConfigSchema.parse({ idsMax: 1_000_000 }), { signal })
  return {
    ...base,
    cache,
    log,
    dedup,
    entities: createTableEntities(tables),
    geoip: undefined,
    tables,
    statements,
    [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
  }
}

/** The embedded cache over whatever database the test has. */
export function openTestCache(context: CacheContext): Promise<Cache> {
  return openEmbeddedCache(context, embeddedCacheConfig.parse({}))
}

function createTableEntities(tables: PersonTables): Entities {
  const config = personsConfig.parse({})
  return {
    async run(_range, needs, compute) {
      const { result, changes } = computeBatch(loadTables(tables, needs), config, compute)
      const moved = writeTables(tables, changes)
      return { result, records: changeRecords(changes, moved), warnings: changeWarnings(changes) }
    },
  }
}

/** Knows one table, `posthog_team`. */
function listDatabase(teams: readonly TeamRow[], statements: string[]): Database {
  const unused = (): never => {
    throw new Error('nothing else of the database is used')
  }
  return {
    async query<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
      statements.push(text)
      if (!text.includes('from posthog_team')) return []
      const [tokens] = values
      const found = teams.filter((team) => Array.isArray(tokens) && tokens.includes(team.api_token))
      return found.map((team) => team as unknown as Row)
    },
    async execute(text) {
      statements.push(text)
      return 0
    },
    transaction: unused,
    withLock: unused,
    listen: unused,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function emptyLog(records: readonly LogRecord[]): Log {
  const unused = (): never => {
    throw new Error('nothing else of the log is used')
  }
  return {
    ensureTopics: unused,
    describe: () => Promise.resolve([]),
    append: unused,
    checkRoom: () => Promise.resolve(),
    consume: unused,
    read: (topic, partition, offset) =>
      Promise.resolve(
        records.find(
          (record) => record.topic === topic && record.partition === partition && record.offset === offset,
        ),
      ),
    scan: unused,
    offsetAt: () => Promise.resolve(0),
    positions: () => Promise.resolve([]),
    reset: unused,
    forget: unused,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
