import { runDeadLetterRequests } from '../../datasets/dead-letters/requests.ts'
import { openLiveOptions } from '../../datasets/options/live-options.ts'
import type { Route } from '../../http/route.ts'
import { databaseOf, logOf, type StopSignals, type World } from '../world.ts'
import { type ConsumerRole, type LiveOf, openConsumerRole } from './consumer-role.ts'
import { openTestingRole } from './testing-role.ts'

export type StorageParts = { routes: Route[]; consumer: ConsumerRole | undefined }

/** The role `consumer`, the routes for tests, and the live options that both go by; they go with `stack`. */
export async function openStorageParts(
  world: World,
  signals: StopSignals,
  stack: AsyncDisposableStack,
): Promise<StorageParts> {
  const { consumer: config, roles } = world.config
  const isConsumer = roles.includes('consumer')
  const isWanted = (isConsumer && config.storages.length > 0) || config.testing.isEnabled
  if (!isWanted)
    return { routes: [], consumer: isConsumer ? await openConsumerRole(world, noLive) : undefined }
  const live = stack.use(
    await openLiveOptions(
      { ...world, database: databaseOf(world) },
      { pollIntervalMs: config.liveOptionsPollIntervalMs },
      { signal: signals.stop },
    ),
  )
  const liveOf: LiveOf = (storage) => () => live.of(storage)
  const consumer = isConsumer ? await openConsumerRole(world, liveOf) : undefined
  if (!config.testing.isEnabled) return { routes: [], consumer }
  const { routes } = stack.use(await openTestingRole(world, { liveOf, signals }))
  world.logger.warn(
    { database: config.testing.database },
    'the routes under /tests/ write and delete rows without a key',
  )
  return { routes, consumer }
}

const noLive: LiveOf = () => () => ({})

/** Replays and drops dead letters on request: whoever owns the log does it. */
export function runDeadLetters(world: World, { stop }: StopSignals): Promise<void> {
  const ports = { ...world, log: logOf(world), database: databaseOf(world) }
  return runDeadLetterRequests(ports, world.config.consumer.deadLetters, { signal: stop })
}
