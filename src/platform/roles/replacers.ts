import { createReplacerStage } from '../../datasets/replace/replacer.ts'
import type { Storage } from '../../datasets/storage/storage.ts'
import { cacheOf, logOf, type StopSignals, type World, warehouseOf } from '../world.ts'
import type { LiveOf } from './consumer-role.ts'
import { runStages } from './run-stages.ts'

/** Carries out the replacements of the storages that have any, side by side, until the stop. */
export async function runReplacers(
  world: World,
  storages: readonly Storage[],
  options: { liveOf: LiveOf; signals: StopSignals },
): Promise<void> {
  const { config } = world
  const ports = { ...world, log: logOf(world), cache: cacheOf(world), warehouse: warehouseOf(world) }
  const stages = storages
    .filter(({ stream }) => stream.replacementTopic !== undefined)
    .map((storage) =>
      createReplacerStage(ports, storage, {
        config: config.consumer.replacer,
        live: options.liveOf(storage.name),
      }),
    )
  await runStages({ ...ports, logger: world.logger.child({ role: 'consumer' }) }, stages, {
    stream: config.stream,
    signals: options.signals,
  })
}
