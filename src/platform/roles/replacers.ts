import { createReplacerStage } from '../../datasets/replace/replacer.ts'
import type { Storage } from '../../datasets/storage/storage.ts'
import type { StopSignals, World } from '../world.ts'
import type { LiveOf } from './consumer-role.ts'
import { runStages } from './run-stages.ts'

/** Carries out the replacements of the storages that have any, side by side, until the stop. */
export async function runReplacers(
  world: World,
  storages: readonly Storage[],
  options: { liveOf: LiveOf; signals: StopSignals },
): Promise<void> {
  const { config, engines } = world
  const ports = { ...world, warehouse: engines.warehouse }
  const stages = storages
    .filter(({ stream }) => stream.replacementTopic !== undefined)
    .map((storage) =>
      createReplacerStage(ports, storage, {
        config: config.consumer.replacer,
        live: options.liveOf(storage.name),
      }),
    )
  await runStages({ ...world, logger: world.logger.child({ role: 'consumer' }) }, stages, {
    stream: config.stream,
    signals: options.signals,
  })
}
