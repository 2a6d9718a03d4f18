import { runProjectNews } from '../../api/projects/project-changes.ts'
import { openDedup } from '../../ingest/dedup/dedup.ts'
import { runDedupTail } from '../../ingest/dedup/tail.ts'
import { runDedupTrim } from '../../ingest/dedup/trim.ts'
import { createEntities } from '../../ingest/entities.ts'
import type { Geoip } from '../../ingest/geoip.ts'
import { createIngestStages } from '../../ingest/ingest.ts'
import { createTeams } from '../../ingest/teams.ts'
import { placesOf } from '../needs.ts'
import { cacheOf, databaseOf, logOf, type StopSignals, type World } from '../world.ts'
import { runStages } from './run-stages.ts'

export async function runIngestRole(
  world: World,
  signals: StopSignals,
  geoip: Geoip | undefined,
): Promise<void> {
  const { clock, random, metrics, changes } = world
  const [log, cache, database] = [logOf(world), cacheOf(world), databaseOf(world)]
  const { dedup: dedupConfig, ...config } = world.config.ingest
  const logger = world.logger.child({ role: 'ingest' })
  const dedup = await openDedup({ log, clock, metrics, logger, random }, dedupConfig, {
    isShared: placesOf(world.config).log === 'outside',
    signal: signals.stop,
  })
  const entities = createEntities({ database, clock, metrics, logger }, config.persons)
  const teams = createTeams({ database, clock }, config.teams)
  using _listening = changes.subscribe((token) => teams.forget(token))
  const stages = createIngestStages(
    { log, database, cache, clock, random, metrics, logger, entities, dedup, geoip, teams },
    config,
  )
  await Promise.all([
    runStages({ ...world, log, logger }, stages, { stream: world.config.stream, signals }),
    runProjectNews({ database, logger, changes }, { signal: signals.stop }),
    runDedupTail({ clock, logger, dedup }, dedupConfig, { signal: signals.stop }),
    runDedupTrim({ log, clock, dedup }, dedupConfig, { signal: signals.stop }),
  ])
}
