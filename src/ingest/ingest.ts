/**
 * The ingest role: captured records become clean, unique, enriched events with a person, ready for the
 * warehouse.
 *
 * The journey of a batch is the list in `createSteps`. A step may end an event (see the exits in each step's
 * prose, and all of them in `docs/internals/ingest.md`); what has not ended goes on to the next. An exception
 * over one event sets that event aside and no other. Lost infrastructure fails the batch, and the engine tries
 * it again.
 *
 * - Everything about one batch is settled at once: rows, drops, people's messages, warnings, heatmap rows and
 *   the ids that de-duplication has to remember.
 * - What ends on another lane or in the dead letters is not remembered as seen: it may come again.
 * - The overflow lane is a group of its own, so that a noisy person holds up nobody.
 */
import { topics } from '../event/topics.ts'
import type { Cache } from '../ports/cache.ts'
import type { Clock } from '../ports/clock.ts'
import type { Database } from '../ports/database.ts'
import type { Log } from '../ports/log.ts'
import type { Random } from '../ports/random.ts'
import type { PartitionStage, RecordIdentity, Stage } from '../stream/stage.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { IngestConfig } from './config.ts'
import { createCookielessStep } from './cookieless/cookieless.ts'
import type { Dedup, DedupId, DedupSource } from './dedup/dedup.ts'
import type { Entities } from './entities.ts'
import type { Geoip } from './geoip.ts'
import { decodeRecord } from './incoming-event.ts'
import { createClientWarningStep } from './steps/client-warning.ts'
import { createDecodeStep } from './steps/decode.ts'
import { createDivertNoisyStep } from './steps/divert-noisy.ts'
import { createFindTeamStep } from './steps/find-team.ts'
import { createJudgeDuplicatesStep } from './steps/judge-duplicates.ts'
import { createLocateStep, createNormalizeStep } from './steps/normalize.ts'
import { createReadHeatmapsStep } from './steps/read-heatmaps.ts'
import { createPersonFlagStep, createTooOldStep, createValidateStep } from './steps/validate.ts'
import { createWriteRowsStep } from './steps/write-rows.ts'
import { createTeams, type Teams } from './teams.ts'
import { createWarningThrottle, type WarningThrottle } from './warnings/throttle.ts'
import { createWork, dropEnded, outcomesOf, type Step, type Work } from './work.ts'

export type IngestPorts = {
  log: Log
  database: Database
  cache: Cache
  clock: Clock
  random: Random
  metrics: Metrics
  logger: Logger
  entities: Entities
  dedup: Dedup
  geoip: Geoip | undefined
  /** Shared by other parts of the role; made here if there is none. */
  teams?: Teams
  /** A step between cookieless and normalisation that may change and end events: transformations. */
  transform?: Step
}

/** The consumer groups, each with what it reads. */
export const ingestLanes = {
  ingestion: [
    topics.captured,
    topics.historical,
    topics.ai,
    topics.exceptions,
    topics.heatmaps,
    topics.clientWarnings,
  ],
  'ingestion-overflow': [topics.overflow],
} as const satisfies Record<string, readonly string[]>

export function createIngestStages(ports: IngestPorts, config: IngestConfig): Stage[] {
  const teams = ports.teams ?? createTeams(ports, config.teams)
  const throttle = createWarningThrottle(ports, config.warnings)
  return Object.entries(ingestLanes).map(([group, laneTopics]) => {
    const steps = createSteps(ports, config, { group, teams })
    return {
      group,
      topics: laneTopics,
      async openPartition({ topic, partition }) {
        // Another process may have had the partition until now: what it has accepted must be known here.
        await ports.dedup.catchUp()
        return createPartition(ports, { steps, throttle, source: { topic, partition } })
      },
      identify: identifyRecord,
    }
  })
}

/** The order of ingestion, and all of it. */
function createSteps(
  ports: IngestPorts,
  config: IngestConfig,
  lane: { group: string; teams: Teams },
): Step[] {
  const now = () => ports.clock.now()
  const { geoip, transform } = ports
  return [
    createDecodeStep(),
    createDivertNoisyStep(ports, config.overflow),
    createFindTeamStep(lane.teams, now),
    createValidateStep(),
    createPersonFlagStep(),
    createTooOldStep(now),
    createJudgeDuplicatesStep(ports, { comparisonsMax: config.duplicateComparisonsMax }),
    createClientWarningStep(),
    createCookielessStep(ports, config.cookieless),
    ...(geoip === undefined ? [] : [createLocateStep(geoip)]),
    ...(transform === undefined ? [] : [transform]),
    createNormalizeStep(now),
    createReadHeatmapsStep(),
    createWriteRowsStep(ports.entities, { group: lane.group, rowBytesMax: config.rowBytesMax, now }),
  ]
}

type Partition = { steps: readonly Step[]; throttle: WarningThrottle; source: DedupSource }

function createPartition(ports: IngestPorts, { steps, throttle, source }: Partition): PartitionStage {
  return {
    async process(batch) {
      const work = createWork(batch)
      for (const step of steps) {
        const startedMs = ports.clock.monotonic()
        await step.run(work)
        dropEnded(work)
        ports.metrics.observe('ingest_step_seconds', (ports.clock.monotonic() - startedMs) / 1000, {
          step: step.name,
        })
      }
      const outcomes = outcomesOf(work)
      const seen = seenIds(work)
      const warnings = throttle.admit(work.warnings)
      const remembered = ports.dedup.record(seen, source)
      return {
        outcomes,
        records: [...work.records, ...warnings.records, ...(remembered === undefined ? [] : [remembered])],
        afterCommit() {
          ports.dedup.committed(seen, { ...source, until: batch.until })
          warnings.confirm()
        },
      }
    },
    [Symbol.asyncDispose]() {
      ports.dedup.release(source)
      return Promise.resolve()
    },
  }
}

/** An event in the dead letters may be sent again: its id is not remembered. */
function seenIds(work: Work): DedupId[] {
  const setAside = new Set<number>()
  for (const [index, outcome] of work.outcomes.entries()) {
    const record = work.batch.records[index]
    if (outcome?.kind === 'dead-letter' && record !== undefined) setAside.add(record.offset)
  }
  return work.claims.filter((claim) => !setAside.has(claim.offset))
}

/** Who a record is about, as far as its headers or its message say. */
function identifyRecord(record: Parameters<typeof decodeRecord>[0]): RecordIdentity {
  const { uuid, distinct_id, token, event } = record.headers
  const said = { uuid: uuid ?? '', distinct_id: distinct_id ?? '', token: token ?? '', event: event ?? '' }
  try {
    const decoded = decodeRecord(record, 0)
    return { uuid: decoded.uuid, distinct_id: decoded.distinctId, token: decoded.token, event: decoded.event }
  } catch {
    // What cannot be decoded is told by its headers alone.
    return said
  }
}
