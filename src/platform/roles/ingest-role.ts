import { openDedup } from '../../ingest/dedup/dedup.ts'
import { runDedupTrim } from '../../ingest/dedup/trim.ts'
import { createEntities } from '../../ingest/entities.ts'
import { openGeoip } from '../../ingest/geoip.ts'
import { createIngestStages } from '../../ingest/ingest.ts'
import type { StopSignals, World } from '../world.ts'
import { runStages } from './run-stages.ts'

export async function runIngestRole(world: World, signals: StopSignals): Promise<void> {
  const { clock, random, metrics, log, cache } = world
  const { dedup: dedupConfig, ...config } = world.config.ingest
  const { database } = world.engines
  const logger = world.logger.child({ role: 'ingest' })
  const geoip = await openGeoip(config.geoip)
  const dedup = await openDedup({ log, clock, metrics, logger, random }, dedupConfig, {
    signal: signals.stop,
  })
  const entities = createEntities({ database, clock, metrics, logger }, config.persons)
  const stages = createIngestStages(
    { log, database, cache, clock, random, metrics, logger, entities, dedup, geoip },
    config,
  )
  await Promise.all([
    runStages({ ...world, logger }, stages, { stream: world.config.stream, signals }),
    runDedupTrim({ log, clock, dedup }, dedupConfig, { signal: signals.stop }),
  ])
}
