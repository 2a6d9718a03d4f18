/** How the batches of a dataset are cut: as its storage says, unless the config says otherwise. */
import type { Stage } from '../stream/stage.ts'
import type { DatasetsConfig } from './config.ts'
import type { StorageWriter } from './storage/storage.ts'

type BatchLimits = NonNullable<Stage['batch']>

/** A storage that waits this long by itself is a quiet one: nobody waits for its rows. */
const quietWaitMs = 1000

/** For what is no storage. */
export const usualLimits = { rowsMax: 10_000, bytesMax: 8 * 1024 * 1024, waitMs: 250 } as const

export function batchLimits(
  config: DatasetsConfig,
  { rowsMax, bytesMax, waitMs }: Pick<StorageWriter, 'rowsMax' | 'bytesMax' | 'waitMs'>,
): BatchLimits {
  const waitOverride = waitMs >= quietWaitMs ? config.quietBatchWaitMs : config.batchWaitMs
  return {
    recordsMax: config.batchRecordsMax ?? rowsMax,
    bytesMax: config.batchBytesMax ?? bytesMax,
    waitMs: waitOverride ?? waitMs,
  }
}
