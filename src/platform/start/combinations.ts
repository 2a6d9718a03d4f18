/**
 * Which roles and engines can work together. Several processes meet on engines that all of them reach; what a
 * process runs for itself, its data folder included, is reached by it alone. A combination that cannot do its
 * work is refused before anything is opened, by a sentence that says what to set; one that works less well is told.
 *
 * `isPartialAllowed` is for tests and repairs: it lets a part of the roles run on an embedded log.
 */
import { chosenSink } from '../../capture/sinks/config.ts'
import type { Config } from '../config/config.ts'
import { needsOf, placesOf } from '../needs.ts'

export type CombinationConfig = Pick<
  Config,
  'roles' | 'capture' | 'consumer' | 'kafka' | 'redis' | 's3' | 'database' | 'warehouse' | 'isPartialAllowed'
>

const pipeline = ['capture', 'ingest', 'datasets'] as const

/** A sentence for each combination that cannot work. */
export function refusedCombinations(config: CombinationConfig): string[] {
  if (config.isPartialAllowed) return []
  return placesOf(config).log === 'embedded' ? refusedOnOwnLog(config) : refusedOnKafka(config)
}

function refusedOnOwnLog(config: CombinationConfig): string[] {
  if (!needsOf(config).has('log')) return []
  const run = pipeline.filter((role) => config.roles.includes(role))
  const missing = pipeline.filter((role) => !config.roles.includes(role))
  if (run.length > 0 && missing.length > 0)
    return [
      `This process runs ${list(run)} without ${list(missing)}, and nobody else reaches its embedded log: set KAFKA_HOSTS (kafka.hosts) to a log that several processes share, or run ${list(pipeline)} together.`,
    ]
  const isApiAlone = config.roles.includes('api') && run.length === 0 && !hasConsumer(config)
  if (isApiAlone)
    return [
      'This process runs api alone, and its embedded log is not that of the processes that take events: set KAFKA_HOSTS (kafka.hosts) to the log that they share, or run capture, ingest and datasets here as well.',
    ]
  return []
}

function refusedOnKafka(config: CombinationConfig): string[] {
  if (isWhole(config)) return []
  const places = placesOf(config)
  const said: string[] = []
  const needsPostgres = config.roles.filter(
    (role) => role === 'ingest' || role === 'datasets' || role === 'api',
  )
  const needsClickhouse = config.roles.filter((role) => role === 'datasets' || role === 'api')
  if (needsPostgres.length > 0 && places.database === 'embedded')
    said.push(
      `This process runs ${list(needsPostgres)} on Kafka, and the other roles cannot reach a PostgreSQL that it would start for itself: set DATABASE_URL (database.url) to one that all processes share, or run all roles here.`,
    )
  if (needsClickhouse.length > 0 && places.warehouse === 'embedded')
    said.push(
      `This process runs ${list(needsClickhouse)} on Kafka, and the other roles cannot reach a ClickHouse that it would start for itself: set CLICKHOUSE_HOST (warehouse.url) to one that all processes share, or run all roles here.`,
    )
  if (config.roles.includes('ingest') && places.cache === 'embedded')
    said.push(
      'This process runs ingest beside others on Kafka, and cookieless ids would differ from process to process, because each would keep their daily secret in its own memory: set REDIS_URL (redis.url) to a Redis that all processes share.',
    )
  return said
}

/** A sentence for each combination that works less well than it could. */
export function doubtfulCombinations(config: CombinationConfig): string[] {
  const places = placesOf(config)
  if (places.log === 'embedded') return []
  const said: string[] = []
  const needs = needsOf(config)
  if (isWhole(config) && (places.database === 'embedded' || places.warehouse === 'embedded'))
    said.push(
      'All roles run on Kafka with a PostgreSQL or ClickHouse of this process: a second process cannot join. Set DATABASE_URL and CLICKHOUSE_HOST before you start one.',
    )
  const takesEvents = config.roles.includes('capture') && chosenSink(config.capture) === 'log'
  if (takesEvents && places.cache === 'embedded')
    said.push(
      'capture runs without Redis: each process counts rate limits for itself, and quotas and restrictions that other programs keep in Redis are not seen. Set REDIS_URL (redis.url).',
    )
  if (needs.has('blobs') && places.blobs === 'embedded')
    said.push(
      'capture runs without an object store: large AI properties, session snapshots and what the fallback keeps stay in the data folder of this process. Set OBJECT_STORAGE_BUCKET (s3.bucket), or keep the folder on a volume.',
    )
  return said
}

/** A process that does everything can be alone on Kafka, whatever it runs for itself. */
function isWhole(config: CombinationConfig): boolean {
  return [...pipeline, 'api'].every((role) => config.roles.includes(role))
}

function hasConsumer({ roles, consumer }: CombinationConfig): boolean {
  return roles.includes('consumer') && consumer.storages.length > 0
}

/** `a`, `a and b`, `a, b and c`. */
function list(names: readonly string[]): string {
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
}
