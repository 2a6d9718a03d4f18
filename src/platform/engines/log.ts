import { join, resolve } from 'node:path'
import { openEmbeddedLog } from '../../adapters/embedded/log/log.ts'
import type { Log } from '../../ports/log.ts'
import type { Config } from '../config/config.ts'
import type { Ground } from '../ground.ts'
import { placesOf } from '../needs.ts'
import { openPatiently } from '../start/patience.ts'

/** The log that the config names: Kafka where `kafka.hosts` is set, else the one in the data folder, which has one owner. */
export async function openLog(
  ground: Ground,
  config: Config,
  { signal }: { signal?: AbortSignal } = {},
): Promise<Log> {
  if (placesOf(config).log === 'embedded')
    return await openEmbeddedLog({ ...ground, directory: join(resolve(config.dataDir), 'log') }, config.log)
  const { startWaitMs } = config
  // Read only where it is used: a process on the embedded log starts sooner without it.
  const { openKafkaLog } = await import('../../adapters/kafka/log.ts')
  return await openPatiently(ground, () => openKafkaLog(ground, config.kafka), {
    engine: 'Kafka',
    startWaitMs,
    signal,
  })
}
