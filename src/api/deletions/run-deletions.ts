/** Does the open deletions, one after another, in the steps that `deletions.ts` describes. */

import { isRetryable } from '../../errors/rowmill-error.ts'
import { capturedTopics } from '../../event/topics.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Log } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { type Deletion, isSettled, logEnds, readyTopics, type Waiting } from './deletions.ts'
import { removeRows } from './remove-rows.ts'

export type DeletionPorts = {
  database: Database
  log: Log
  warehouse: Warehouse
  clock: Clock
  logger: Logger
}

export async function runDeletions(
  ports: DeletionPorts,
  config: { deletionPollMs: number; deletionAttemptsMax: number },
  options: { signal: AbortSignal },
): Promise<void> {
  while (!options.signal.aborted) {
    await ports.database
      .withLock('deletions', () => doOpenDeletions(ports, config, options), options)
      .catch((error: unknown) => {
        if (!options.signal.aborted) ports.logger.warn({ error }, 'open deletions could not be looked at')
      })
    await ports.clock.sleep(config.deletionPollMs, options)
  }
}

/** Takes every open deletion as far as it goes now. Calling it again, or after a crash, goes on from there. */
export async function doOpenDeletions(
  ports: DeletionPorts,
  config: { deletionAttemptsMax: number },
  options: { signal: AbortSignal },
): Promise<void> {
  const open = await ports.database.query<Deletion>(
    `select * from rowmill_deletion where stage <> 'finished' and attempts < $1 order by requested_at, id limit 100`,
    [config.deletionAttemptsMax],
  )
  for (const deletion of open) {
    if (options.signal.aborted) return
    try {
      await advance(ports, deletion)
    } catch (error) {
      ports.logger.warn({ error, deletion: deletion.id }, 'a deletion failed and will be tried again')
      await ports.database.execute(
        'update rowmill_deletion set attempts = attempts + $3, error = $2 where id = $1',
        // An engine that is away is waited for, however long.
        [deletion.id, error instanceof Error ? error.message : String(error), isRetryable(error) ? 0 : 1],
      )
    }
  }
}

async function advance(ports: DeletionPorts, deletion: Deletion): Promise<void> {
  const { log } = ports
  if (!(await isSettled(log, deletion.waits_for.ends))) return
  const step = deletion.waits_for.for
  if (step === 'captured')
    await waitFor(ports, deletion, { for: 'diverted', ends: await logEnds(log, capturedTopics) })
  else if (step === 'diverted') await collect(ports, deletion)
  else if (step === 'written')
    await waitFor(ports, deletion, { for: 'ready', ends: await logEnds(log, readyTopics) })
  else await removeRows(ports, deletion)
}

async function waitFor(ports: DeletionPorts, deletion: Deletion, waiting: Waiting): Promise<void> {
  await ports.database.execute('update rowmill_deletion set waits_for = $2 where id = $1', [
    deletion.id,
    JSON.stringify(waiting),
  ])
}

async function collect(ports: DeletionPorts, deletion: Deletion): Promise<void> {
  await ports.database.transaction(async (session) => {
    await session.query(`select pg_advisory_xact_lock_shared(hashtextextended('rowmill persons', 0))`)
    const ids = await session.query<{ distinct_id: string }>(
      `delete from posthog_persondistinctid d using posthog_person p
       where p.team_id = $1 and p.uuid = $2 and d.team_id = p.team_id and d.person_id = p.id returning d.distinct_id`,
      [deletion.team_id, deletion.person_uuid],
    )
    const distinctIds = ids.map((row) => row.distinct_id)
    await session.execute('delete from posthog_person where team_id = $1 and uuid = $2', [
      deletion.team_id,
      deletion.person_uuid,
    ])
    await session.execute(
      'delete from posthog_personlessdistinctid where team_id = $1 and distinct_id = any($2::text[])',
      [deletion.team_id, distinctIds],
    )
    // A batch that wrote the person before may not have settled yet: its records come behind these ends.
    const waiting: Waiting = { for: 'written', ends: await logEnds(ports.log, capturedTopics) }
    await session.execute(
      `update rowmill_deletion set stage = 'collected', distinct_ids = $2, waits_for = $3 where id = $1`,
      [deletion.id, distinctIds, JSON.stringify(waiting)],
    )
  })
}
