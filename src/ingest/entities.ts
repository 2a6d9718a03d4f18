/**
 * People and groups: who an event belongs to, and what is known of them.
 *
 * A batch of some hundred events touches the database in a handful of statements: everything that its events
 * may need is loaded, the batch is computed in memory in the order of its events, and what changed is written
 * in one transaction. No locks are held while computing. Every write says which version it expects to find;
 * where somebody else wrote meanwhile, the whole batch is loaded and computed again. A batch that keeps
 * losing is computed under a lock that keeps every other writer of people out, so it always ends.
 *
 * In the transaction of a change stands also what the batch started from (`entities/before.ts`). When the same
 * range comes again after a crash, it leads to the same outcomes and records, and writes nothing.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Database, DatabaseSession } from '../ports/database.ts'
import type { NewRecord } from '../ports/log.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import {
  type BatchBefore,
  type BatchRange,
  beforeText,
  loadBefore,
  rewind,
  writeBefore,
} from './entities/before.ts'
import {
  type ComputedBatch,
  changeRecords,
  changesWrittenBefore,
  changeWarnings,
  computeBatch,
  type EntityView,
  hasChanges,
  type LoadedEntities,
} from './entities/compute-batch.ts'
import { isConflict } from './entities/conflict.ts'
import type { EntityNeeds } from './entities/needs.ts'
import { loadGroups } from './groups/load-groups.ts'
import { writeGroups } from './groups/write-groups.ts'
import type { PersonsConfig } from './persons/config.ts'
import { loadPersons } from './persons/load-persons.ts'
import { createPersonCache, type PersonCache } from './persons/person-cache.ts'
import type { TeamWarning } from './persons/person-changes.ts'
import type { StoredPerson } from './persons/person-state.ts'
import { writePersons } from './persons/write-persons.ts'

export interface Entities {
  /**
   * Loads what `needs` says, runs `compute`, and writes what it changed. Resolves when that is durable.
   * `compute` is synchronous and without effects of its own: it may run several times, and the last run
   * counts. The records belong into the log's commit of this batch. Fails with `DATABASE_UNAVAILABLE`.
   */
  run<T>(range: BatchRange, needs: EntityNeeds, compute: (view: EntityView) => T): Promise<EntityResult<T>>
}

export type EntityResult<T> = {
  result: T
  /** Messages about changed persons, distinct ids and groups. */
  records: readonly NewRecord[]
  /** About persons and groups as a whole; those about single events are in their outcomes. */
  warnings: readonly TeamWarning[]
}

export type EntitiesPorts = { database: Database; clock: Clock; metrics: Metrics; logger: Logger }

type Context = EntitiesPorts & { config: PersonsConfig; cache: PersonCache }

/** How often a computation may ask for more than was loaded, each time for something new. */
const loadsMax = 10
const writersLock = `hashtextextended('rowmill persons', 0)`

type Computed<T> = ComputedBatch<T> & { loaded: LoadedEntities; before: BatchBefore | undefined }
type Work<T> = { range: BatchRange; needs: EntityNeeds; compute: (view: EntityView) => T }

export function createEntities(ports: EntitiesPorts, config: PersonsConfig): Entities {
  const context = { ...ports, config, cache: createPersonCache(config.cacheBytesMax) }
  return {
    async run(range, needs, compute) {
      const work = { range, needs, compute }
      for (let attempt = 1; attempt <= config.attemptsMax; attempt++) {
        try {
          return await runBeside(context, work, attempt)
        } catch (error) {
          if (!isConflict(error)) throw error
          count(ports, 'conflict')
          const message = 'people were changed by somebody else, computing again'
          ports.logger.debug({ ...range, attempt, error }, message)
        }
      }
      return await runAlone(context, work)
    },
  }
}

/** Beside other writers: no lock until the write. */
async function runBeside<T>(context: Context, work: Work<T>, attempt: number): Promise<EntityResult<T>> {
  const computed = await loadAndCompute(context, { ...work, session: context.database, attempt })
  const inTransaction: InTransaction = (write) => context.database.transaction(write)
  const { rows, ...result } = await finish(context, computed, { inTransaction, range: work.range })
  for (const row of rows) context.cache.put(row)
  return result
}

/** Keeps every other writer out from before the load until after the write. */
async function runAlone<T>(context: Context, work: Work<T>): Promise<EntityResult<T>> {
  try {
    const { rows, ...result } = await context.database.transaction(async (session) => {
      await session.query(`select pg_advisory_xact_lock(${writersLock})`)
      const attempt = context.config.attemptsMax + 1
      const computed = await loadAndCompute(context, { ...work, session, attempt })
      const inTransaction: InTransaction = (write) => write(session)
      return await finish(context, computed, { inTransaction, range: work.range })
    })
    for (const row of rows) context.cache.put(row)
    count(context, 'alone')
    return result
  } catch (error) {
    if (!isConflict(error)) throw error
    const message = `The people of a batch of ${work.range.topic} are changed by a writer that does not take the lock.`
    throw new RowmillError('DATABASE_UNAVAILABLE', message, { cause: error })
  }
}

async function loadAndCompute<T>(
  context: Context,
  work: Work<T> & { session: DatabaseSession; attempt: number },
): Promise<Computed<T>> {
  const { clock, cache, config } = context
  let { needs } = work
  for (let load = 1; load <= loadsMax; load++) {
    const startedMs = clock.monotonic()
    const before = await loadBefore(work.session, work.range)
    const current = await loadEntities(work.session, needs, {
      withUuids: work.attempt > 1,
      nowMs: clock.now(),
      cache,
    })
    const loaded = before === undefined ? current : rewind(current, before)
    const loadedMs = clock.monotonic()
    const computed = computeBatch(loaded, config, work.compute)
    observe(context, 'load', loadedMs - startedMs)
    observe(context, 'compute', clock.monotonic() - loadedMs)
    const { missing } = computed
    if (missing.distinctIds.length + missing.groupTypes.length + missing.groups.length === 0)
      return { ...computed, loaded, before }
    needs = {
      distinctIds: [...needs.distinctIds, ...missing.distinctIds],
      groupTypes: [...needs.groupTypes, ...missing.groupTypes],
      groups: [...needs.groups, ...missing.groups],
    }
  }
  assert.fail('a batch asks for other people each time it is computed')
}

async function loadEntities(
  session: DatabaseSession,
  needs: EntityNeeds,
  options: { withUuids: boolean; nowMs: number; cache: PersonCache },
): Promise<LoadedEntities> {
  const persons = await loadPersons(session, needs.distinctIds, options)
  const groups = await loadGroups(session, needs.groupTypes, needs.groups)
  return { persons, groups, needs, nowMs: options.nowMs }
}

type InTransaction = <R>(write: (session: DatabaseSession) => Promise<R>) => Promise<R>

async function finish<T>(
  ports: EntitiesPorts,
  computed: Computed<T>,
  options: { inTransaction: InTransaction; range: BatchRange },
): Promise<EntityResult<T> & { rows: readonly StoredPerson[] }> {
  const { result, changes, before } = computed
  const warnings = changeWarnings(changes)
  if (before !== undefined) {
    count(ports, 'repeated')
    const written = changesWrittenBefore(changes, before)
    return { result, records: changeRecords(written, before.moved), warnings, rows: [] }
  }
  if (!hasChanges(changes)) {
    count(ports, 'unchanged')
    return { result, records: [], warnings, rows: [] }
  }
  const startedMs = ports.clock.monotonic()
  const { moved, rows } = await options.inTransaction(async (session) => {
    await session.query(`select pg_advisory_xact_lock_shared(${writersLock})`)
    const written = await writePersons(session, changes.persons)
    await writeGroups(session, changes.groups)
    await writeBefore(session, options.range, beforeText(computed.loaded, changes, written.moved))
    return written
  })
  observe(ports, 'write', ports.clock.monotonic() - startedMs)
  count(ports, 'written')
  ports.metrics.count('ingest_persons_total', changes.persons.created.length, { change: 'created' })
  ports.metrics.count('ingest_persons_total', changes.persons.updated.length, { change: 'updated' })
  ports.metrics.count('ingest_persons_total', changes.persons.merged.length, { change: 'merged' })
  return { result, records: changeRecords(changes, moved), warnings, rows }
}

type BatchEnd = 'written' | 'unchanged' | 'repeated' | 'conflict' | 'alone'

function count(ports: EntitiesPorts, end: BatchEnd): void {
  ports.metrics.count('ingest_entities_batches_total', 1, { end })
}

function observe(ports: EntitiesPorts, phase: 'load' | 'compute' | 'write', ms: number): void {
  ports.metrics.observe('ingest_entities_seconds', ms / 1000, { phase })
}
