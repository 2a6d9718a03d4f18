/**
 * Which engines a process opens: those that its roles work with, and no others. A process that runs `capture`
 * alone on Kafka and Redis starts no PostgreSQL and no ClickHouse, and asks for neither address.
 */
import { chosenSink } from '../capture/sinks/config.ts'
import type { Config } from './config/config.ts'
import { isRoleName, type RoleName } from './roles.ts'

export type EngineName = 'log' | 'cache' | 'blobs' | 'database' | 'warehouse'

/** What each role works with. `consumer` needs nothing where no storages are named. */
const roleNeeds = {
  capture: ['log', 'cache', 'blobs'],
  ingest: ['log', 'database', 'cache'],
  datasets: ['log', 'database', 'warehouse', 'blobs'],
  consumer: ['log', 'database', 'warehouse', 'cache'],
  api: ['log', 'database', 'warehouse'],
} as const satisfies Record<RoleName, readonly EngineName[]>

export type NeedsConfig = Pick<Config, 'roles' | 'capture' | 'consumer'>

export function needsOf(config: NeedsConfig): ReadonlySet<EngineName> {
  const needs = new Set<EngineName>()
  for (const role of config.roles.filter(isRoleName))
    for (const engine of roleNeeds[role]) if (isNeeded(config, role, engine)) needs.add(engine)
  if (config.consumer.testing.isEnabled) for (const engine of roleNeeds.consumer) needs.add(engine)
  return needs
}

function isNeeded(config: NeedsConfig, role: RoleName, engine: EngineName): boolean {
  if (role === 'capture' && engine === 'log') return chosenSink(config.capture) === 'log'
  if (role === 'consumer') return config.consumer.storages.length > 0 || config.roles.length === 1
  return true
}

/** Where an engine is: run by this process for itself, or reached at an address by any number of processes. */
export type EnginePlace = 'embedded' | 'outside'
export type PlacesConfig = Pick<Config, 'kafka' | 'redis' | 's3' | 'database' | 'warehouse'>

export function placesOf(config: PlacesConfig): Readonly<Record<EngineName, EnginePlace>> {
  const place = (address: unknown): EnginePlace => (address === undefined ? 'embedded' : 'outside')
  return {
    log: place(config.kafka.hosts),
    cache: place(config.redis.url),
    blobs: place(config.s3.bucket),
    database: place(config.database.url),
    warehouse: place(config.warehouse.url),
  }
}

/** Whether the process keeps anything in its data folder. */
export function needsDataDir(config: NeedsConfig & PlacesConfig): boolean {
  const places = placesOf(config)
  return [...needsOf(config)].some((engine) => engine !== 'cache' && places[engine] === 'embedded')
}
