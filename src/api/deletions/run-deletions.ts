/** Does the open deletions, one after another, in the steps that `deletions.ts` describes. */
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Log } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { type Deletion, isSettled, logEnds, readyTopics } from './deletions.ts'

type DeletionPorts = { database: Database; log: Log; warehouse: Warehouse; clock: Clock; logger: Logger }

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

async function doOpenDeletions(
  ports: DeletionPorts,
  config: { deletionAttemptsMax: number },
  options: { signal: AbortSignal },
): Promise<void> {
  const open = await ports.database.query<Deletion>(
    `select * from rowmill_deletion where stage <> 'finished' and attempts < $1 order by requested_at limit 100`,
    [config.deletionAttemptsMax],
  )
  for (const deletion of open) {
    if (options.signal.aborted) return
    try {
      await advance(ports, deletion)
    } catch (error) {
      ports.logger.warn({ error, deletion: deletion.id }, 'a deletion failed and will be tried again')
      await ports.database.execute(
        'update rowmill_deletion set attempts = attempts + 1, error = $2 where id = $1',
        [deletion.id, error instanceof Error ? error.message : String(error)],
      )
    }
  }
}

async function advance(ports: DeletionPorts, deletion: Deletion): Promise<void> {
  if (!(await isSettled(ports.log, deletion.waits_for))) return
  if (deletion.stage === 'requested') await collect(ports, deletion)
  else await removeRows(ports, deletion)
}

async function collect({ database, log }: DeletionPorts, deletion: Deletion): Promise<void> {
  // What was captured before the request is settled, so its rows stand before these ends.
  const ends = await logEnds(log, readyTopics)
  await database.transaction(async (session) => {
    const ids = await session.query<{ distinct_id: string }>(
      `delete from posthog_persondistinctid d using posthog_person p
       where p.team_id = $1 and p.uuid = $2 and d.team_id = p.team_id and d.person_id = p.id returning d.distinct_id`,
      [deletion.team_id, deletion.person_uuid],
    )
    await session.execute('delete from posthog_person where team_id = $1 and uuid = $2', [
      deletion.team_id,
      deletion.person_uuid,
    ])
    await session.execute(
      `update rowmill_deletion set stage = 'collected', distinct_ids = $2, waits_for = $3 where id = $1`,
      [deletion.id, ids.map((row) => row.distinct_id), JSON.stringify(ends)],
    )
  })
}

async function removeRows({ database, warehouse }: DeletionPorts, deletion: Deletion): Promise<void> {
  const parameters = {
    team: deletion.team_id,
    person: deletion.person_uuid,
    ids: deletion.distinct_ids,
    until: deletion.requested_at,
  }
  const settings = { mutations_sync: 1 }
  const isOld = "_timestamp <= parseDateTimeBestEffort({until:String}, 'UTC')"
  await warehouse.command(
    `alter table person delete where team_id = {team:Int64} and id = {person:UUID} and ${isOld}`,
    { parameters, settings },
  )
  await warehouse.command(
    `alter table person_distinct_id2 delete where team_id = {team:Int64} and distinct_id in {ids:Array(String)} and ${isOld}`,
    { parameters, settings },
  )
  await warehouse.command(
    `alter table person_distinct_id_overrides delete where team_id = {team:Int64} and distinct_id in {ids:Array(String)} and ${isOld}`,
    { parameters, settings },
  )
  const deleted = deletion.delete_events ? await removeEvents(warehouse, parameters) : 0
  await database.execute(
    `update rowmill_deletion set stage = 'finished', finished_at = now(), events_deleted = $2, error = null where id = $1`,
    [deletion.id, deleted],
  )
}

async function removeEvents(warehouse: Warehouse, parameters: Record<string, unknown>): Promise<number> {
  const where = `team_id = {team:Int64} and distinct_id in {ids:Array(String)}
    and captured_at <= parseDateTime64BestEffort({until:String}, 6, 'UTC')`
  const [found] = await warehouse.query<{ events: string }>(
    `select count() as events from events where ${where}`,
    { parameters },
  )
  await warehouse.command(`alter table events delete where ${where}`, {
    parameters,
    settings: { mutations_sync: 1 },
  })
  return Number(found?.events ?? 0)
}
