/**
 * Ready messages become rows. Each dataset is a storage: a topic, a processor that makes rows of messages, and
 * tables; `storages/rowmill/` has one YAML file for each. The generic consumer's stage serves them all
 * (`consume/`): a batch is one insert per table, with a token made of dataset, partition and offset range, so
 * that a batch that is read again after a crash writes nothing twice. Rows that the warehouse refuses are
 * found and become dead letters; the others stay.
 *
 * Session replay is the exception: its snapshots go to the blob store, and one row per session and batch
 * tells what is in them (`replay/replay.ts`).
 */
import assert from 'node:assert/strict'
import type { Blobs } from '../ports/blobs.ts'
import type { Random } from '../ports/random.ts'
import type { Stage } from '../stream/stage.ts'
import { batchLimits } from './batch-limits.ts'
import type { DatasetsConfig } from './config.ts'
import { createInlineRunner } from './consume/batch-runner.ts'
import { type ConsumePorts, createConsumerStage } from './consume/consume.ts'
import { createProcessorContext } from './consume/processor-context.ts'
import { findBuiltInProcessor } from './processors/registry.ts'
import { createReplayStage, type ResolveTeam } from './replay/replay.ts'
import { readOwnStorages } from './storage/read-storage.ts'
import type { Storage } from './storage/storage.ts'

export type DatasetPorts = ConsumePorts & { blobs: Blobs; random: Random; resolveTeam: ResolveTeam }

/** Reads the storages of Rowmill's own datasets: one stage for each, for `runStage`. Fails with `STORAGE_INVALID`. */
export async function readDatasetStages(ports: DatasetPorts, config: DatasetsConfig): Promise<Stage[]> {
  const storages = await readOwnStorages()
  return [...storages.map((storage) => ownStage(ports, storage, config)), createReplayStage(ports, config)]
}

function ownStage(ports: DatasetPorts, storage: Storage, config: DatasetsConfig): Stage {
  const builtIn = findBuiltInProcessor(storage.processor.builtIn ?? '')
  assert(builtIn !== undefined, `${storage.name}: a built-in processor`)
  const context = createProcessorContext(ports, storage, () => ({}))
  return createConsumerStage(ports, storage, {
    batch: batchLimits(config, storage.writer),
    openRunner: async () => createInlineRunner((await builtIn.load())(context), storage.tables.length),
  })
}
