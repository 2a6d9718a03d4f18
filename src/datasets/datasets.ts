/**
 * Ready messages become rows. Each dataset is a storage: a topic, an encoder from a message to rows, and
 * tables (`storages.ts`). One generic sink serves them all: a batch is one insert per table, with a token
 * made of dataset, partition and offset range, so that a batch that is read again after a crash writes
 * nothing twice. Rows that the warehouse refuses are found and become dead letters; the others stay.
 *
 * Session replay is the exception: its snapshots go to the blob store, and one row per session and batch
 * tells what is in them (`replay/replay.ts`).
 */
import type { Blobs } from '../ports/blobs.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { Stage } from '../stream/stage.ts'
import type { DatasetsConfig } from './config.ts'
import { createReplayStage, type ResolveTeam } from './replay/replay.ts'
import { createStorageStage } from './storage-stage.ts'
import { storages } from './storages.ts'

export type DatasetPorts = { warehouse: Warehouse; blobs: Blobs; resolveTeam: ResolveTeam }

/** One stage per dataset, each for `runStage`. */
export function createDatasetStages(ports: DatasetPorts, config: DatasetsConfig): Stage[] {
  return [
    ...storages.map((storage) => createStorageStage(ports.warehouse, storage, config)),
    createReplayStage(ports, config),
  ]
}
