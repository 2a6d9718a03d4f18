/**
 * The role `consumer`: fills the storages that the config names. Its topics and tables are made, and what it
 * cannot work with is refused, before the program says that it is ready.
 */
import type { ConsumerConfig } from '../../datasets/consume/config.ts'
import { groupOf } from '../../datasets/consume/consume.ts'
import { ensureStorageTopics, prepareTables } from '../../datasets/consume/prepare-storage.ts'
import type { Live } from '../../datasets/consume/processor-context.ts'
import type { ReadableLog } from '../../datasets/consume/run-consumer/dry-log.ts'
import {
  type ConsumerPorts,
  checkProcessor,
  runConsumer,
  runDryConsumer,
  withTopicsOf,
} from '../../datasets/consume/run-consumer.ts'
import { findStorage, readOwnStorages } from '../../datasets/storage/read-storage.ts'
import type { Storage } from '../../datasets/storage/storage.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import type { StreamConfig } from '../../stream/config.ts'
import { logOf, type StopSignals, type World, warehouseOf } from '../world.ts'
import { runReplacers } from './replacers.ts'

export type ConsumerRole = { run(signals: StopSignals): Promise<void> }

/** What the processor of a storage may be told while it runs. */
export type LiveOf = (storage: string) => Live

/**
 * Nothing where the config names no storage. Fails with `STORAGE_UNKNOWN`, `STORAGE_INVALID`, `PROCESSOR_UNKNOWN`, `PROCESSOR_INVALID`,
 * `TABLE_MISMATCH` or `CONFIG_INVALID`.
 */
export async function openConsumerRole(world: World, liveOf: LiveOf): Promise<ConsumerRole | undefined> {
  const { consumer, stream, log: logConfig, roles } = world.config
  if (consumer.storages.length === 0) {
    if (roles.length > 1) return undefined
    throw new RowmillError(
      'CONFIG_INVALID',
      'The role consumer alone has nothing to do: set consumer.storages.',
    )
  }
  const storages = await chooseStorages(consumer)
  if (consumer.replacer.runs === 'alone' && storages.every(({ replacer }) => replacer === undefined))
    throw new RowmillError(
      'CONFIG_INVALID',
      `None of the storages ${consumer.storages.join(', ')} has a replacer, so there is nothing to run alone.`,
    )
  if (roles.includes('datasets')) await refuseOwn(consumer, storages)
  const isDry = consumer.dryRunMs !== undefined
  const warehouse = warehouseOf(world)
  const ports = { ...world, log: logOf(world), warehouse, logger: world.logger.child({ role: 'consumer' }) }
  for (const storage of storages) {
    await checkProcessor(ports, storage, { config: consumer, live: liveOf(storage.name) })
    if (isDry) continue
    const { retentionMs, deadLetterRetentionMs } = logConfig
    const partitions = consumer.topicPartitions
    await ensureStorageTopics(ports.log, storage, { partitions, retentionMs, deadLetterRetentionMs })
    if (!consumer.isWriteSkipped) await prepareTables(warehouse, storage, consumer)
  }
  const consume = (signals: StopSignals) =>
    runStorages(storages, signals, (storage, stop) =>
      runConsumer(ports, storage, {
        ...optionsOf({ consumer, stream, signals }),
        live: liveOf(storage.name),
        stop,
      }),
    )
  const replace = (signals: StopSignals) => runReplacers(world, storages, { liveOf, signals })
  const { runs } = consumer.replacer
  return {
    run(signals) {
      if (isDry) return runDryStorages(ports, storages, { consumer, stream, signals, liveOf })
      if (runs === 'alone') return replace(signals)
      if (runs === 'off' || consumer.isWriteSkipped) return consume(signals)
      return runBoth(consume, replace, signals)
    },
  }
}

type Run = (signals: StopSignals) => Promise<void>

/** Consumers that have come to their end, or failed, stop the replacers beside them, and a failed replacer all. */
async function runBoth(consume: Run, replace: Run, signals: StopSignals): Promise<void> {
  const over = new AbortController()
  const failed = new AbortController()
  const end = (by: AbortController) => (error: unknown) => {
    by.abort()
    throw error
  }
  const stop = AbortSignal.any([signals.stop, failed.signal])
  const results = await Promise.allSettled([
    consume({ ...signals, stop }).finally(() => over.abort()),
    replace({ ...signals, stop: AbortSignal.any([stop, over.signal]) }).catch(end(failed)),
  ])
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  if (failures.length > 1) throw new AggregateError(failures, 'A consumer and a replacer failed.')
  if (failures.length === 1) throw failures[0]
}

type DryOptions = {
  consumer: ConsumerConfig
  stream: StreamConfig
  signals: StopSignals
  liveOf: LiveOf
}

/** A dry run needs no more than a log to read: it may run beside the program that owns it. */
export async function runDryStorages(
  ports: ConsumerPorts & { log: ReadableLog },
  storages: readonly Storage[],
  options: DryOptions,
): Promise<void> {
  const known = new Set((await ports.log.describe()).map(({ name }) => name))
  for (const { name, stream } of storages)
    if (!known.has(stream.topic))
      throw new RowmillError(
        'TOPIC_UNKNOWN',
        `The topic ${stream.topic} of the storage ${name} does not exist, and a dry run creates none.`,
      )
  await runStorages(storages, options.signals, (storage, stop) =>
    runDryConsumer(ports, storage, {
      ...optionsOf(options),
      live: options.liveOf(storage.name),
      stop,
    }),
  )
}

function optionsOf({ consumer, stream, signals }: Omit<DryOptions, 'liveOf'>) {
  const { deadLetters, drops, ledger } = topics
  return { config: consumer, stream, topics: { deadLetters, drops, ledger }, signal: signals.abort }
}

/** The storages that the config names, with the topics that it puts in place of theirs. */
export async function chooseStorages(config: ConsumerConfig): Promise<Storage[]> {
  const sources = { files: config.storageFiles, folders: config.storageFolders }
  const storages: Storage[] = []
  for (const name of new Set(config.storages))
    storages.push(withTopicsOf(config, await findStorage(name, sources)))
  const readers = new Map<string, string>()
  for (const storage of storages) {
    const reader = `${config.group ?? groupOf(storage)} ${storage.stream.topic}`
    const other = readers.get(reader)
    if (other !== undefined)
      throw new RowmillError(
        'CONFIG_INVALID',
        `The storages ${other} and ${storage.name} would read the topic ${storage.stream.topic} as one group; give each a process of its own, or leave consumer.group and consumer.rawTopic out.`,
      )
    readers.set(reader, storage.name)
  }
  return storages
}

/** Two readers of one group in one program would each get half of the messages. */
async function refuseOwn(config: ConsumerConfig, storages: readonly Storage[]): Promise<void> {
  if (config.group !== undefined) return
  const own = new Set((await readOwnStorages()).map(({ name }) => name))
  const both = storages.find(({ name }) => own.has(name))
  if (both !== undefined)
    throw new RowmillError(
      'CONFIG_INVALID',
      `The storage ${both.name} is filled by the role datasets already; take it out of consumer.storages, or set consumer.group.`,
    )
}

/** Side by side. One that fails for good stops the others and is thrown. */
async function runStorages(
  storages: readonly Storage[],
  signals: StopSignals,
  run: (storage: Storage, stop: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const stop = AbortSignal.any([signals.stop, failed.signal])
  const failures: unknown[] = []
  await Promise.all(
    storages.map((storage) =>
      run(storage, stop).catch((error: unknown) => {
        failures.push(error)
        failed.abort()
      }),
    ),
  )
  if (failures.length > 1) throw new AggregateError(failures, 'Several storages failed.')
  if (failures.length === 1) throw failures[0]
}
