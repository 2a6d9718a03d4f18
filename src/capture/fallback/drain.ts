/**
 * Brings what was kept to the log, oldest first. An object is deleted only after its append was durable, so a
 * crash in between brings it twice: ingest knows the events again by token and uuid. One process drains at a
 * time, by a lock in the cache; one that loses the lock stops after the object in hand.
 *
 * What the log refuses for good must not stand in the way of the rest: the records are tried one by one, and each
 * that is refused has a written reason and is set aside, never deleted.
 */
import { isRowmillError, type RowmillError } from '../../errors/rowmill-error.ts'
import type { DropRow } from '../../event/drop.ts'
import { topics } from '../../event/topics.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { NewRecord } from '../../ports/log.ts'
import { clickhouseTime } from '../../std/time.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { isTransient } from '../sink.ts'
import type { RecordSink } from '../sinks/record-sink.ts'
import type { FallbackConfig } from './config.ts'
import type { Gate } from './gate.ts'
import { decodeObject, encodeRecords, joinObject } from './object-format.ts'
import type { ObjectStore, StoredObject } from './store.ts'

export type DrainScene = {
  log: RecordSink
  cache: Pick<Cache, 'lock'>
  clock: Clock
  logger: Logger
  metrics: Metrics
  gate: Gate
  store: ObjectStore
  /** Objects whose append is durable and that could not be deleted. */
  appended: Set<string>
}

const lockKey = '@rowmill/capture-fallback/drain'
const lockMs = 30_000

/** Runs until the signal aborts. */
export async function runDrain(
  scene: DrainScene,
  config: FallbackConfig,
  signal: AbortSignal,
): Promise<void> {
  const { clock, store } = scene
  let lookAtMs = clock.monotonic()
  let putsSeen = 0
  while (!signal.aborted) {
    if (store.puts !== putsSeen || clock.monotonic() >= lookAtMs) {
      putsSeen = store.puts
      const isDone = await drainLocked(scene, signal)
      lookAtMs = clock.monotonic() + (isDone ? config.lookIntervalMs : config.probeIntervalMs)
    }
    await clock.sleep(config.probeIntervalMs, { signal })
  }
}

/** Whether everything that was there has been brought to the log. */
async function drainLocked(scene: DrainScene, signal: AbortSignal): Promise<boolean> {
  try {
    const lock = await scene.cache.lock(lockKey, lockMs)
    if (lock === undefined) return false
    await using held = lock
    return await drainAll(scene, () => held.extend(lockMs), signal)
  } catch (error) {
    // The loop outlives every failure: what is kept waits for the next round.
    if (isTransient(error)) scene.gate.failed(error)
    else scene.logger.warn({ error }, 'the fallback could not be drained, it is tried again')
    return false
  }
}

async function drainAll(
  scene: DrainScene,
  extend: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, logger } = scene
  const putsBefore = store.puts
  let objects = 0
  let records = 0
  for await (const object of store.list(signal)) {
    if (signal.aborted || !(await extend())) return false
    records += await drainObject(scene, object)
    objects++
  }
  if (signal.aborted) return false
  if (store.puts === putsBefore) store.recount({ objects: 0, bytes: 0 })
  if (objects > 0) logger.info({ objects, records }, 'the fallback is drained')
  return true
}

/** How many records the log took. Fails with what may pass. */
async function drainObject(scene: DrainScene, object: StoredObject): Promise<number> {
  const { store, gate, metrics, appended } = scene
  let taken = 0
  if (!appended.has(object.key)) {
    const bytes = await store.get(object.key)
    if (bytes === undefined) return 0
    taken = await bring(scene, object.key, bytes)
    gate.succeeded()
    metrics.count('capture_fallback_drained_total', taken)
    appended.add(object.key)
  }
  await store.remove(object)
  appended.delete(object.key)
  return taken
}

async function bring(scene: DrainScene, key: string, bytes: Buffer): Promise<number> {
  const records = decodeObject(bytes)
  if (records === undefined) {
    await setAside(scene, { key, bytes, reason: 'unreadable' })
    return 0
  }
  try {
    await scene.log.append(records)
    return records.length
  } catch (error) {
    if (!isRefusal(error)) throw error
    return await bringOneByOne(scene, key, records)
  }
}

async function bringOneByOne(scene: DrainScene, key: string, records: readonly NewRecord[]): Promise<number> {
  const refused: NewRecord[] = []
  for (const record of records) {
    try {
      await scene.log.append([record])
    } catch (error) {
      if (!isRefusal(error)) throw error
      refused.push(record)
      await scene.log.append([refusalRecord(record, error, scene.clock.now())])
    }
  }
  if (refused.length > 0)
    await setAside(scene, { key, bytes: joinObject([encodeRecords(refused)]), reason: 'refused' })
  return records.length - refused.length
}

async function setAside(
  { store, logger, metrics }: DrainScene,
  { key, bytes, reason }: { key: string; bytes: Buffer; reason: 'unreadable' | 'refused' },
): Promise<void> {
  const aside = await store.setAside(key, bytes)
  metrics.count('capture_fallback_refused_total', 1, { reason })
  logger.error({ key: aside, reason }, 'an object of the fallback did not reach the log and was set aside')
}

function isRefusal(error: unknown): error is RowmillError {
  return isRowmillError(error, 'RECORD_TOO_LARGE') || isRowmillError(error, 'TOPIC_UNKNOWN')
}

/** The written reason of a record that the log will never take. */
function refusalRecord({ topic, headers = {} }: NewRecord, error: RowmillError, nowMs: number): NewRecord {
  const uuid = headers.uuid ?? ''
  const row: DropRow = {
    uuid,
    distinct_id: headers.distinct_id ?? '',
    token: headers.token ?? '',
    event: headers.event ?? '',
    stage: 'capture',
    ended: 'drop',
    reason: 'fallback_refused',
    details: JSON.stringify({ code: error.code, topic }),
    topic: '',
    partition: 0,
    offset: -1,
    time: clickhouseTime(nowMs),
  }
  return { topic: topics.drops, key: uuid, value: Buffer.from(JSON.stringify(row)) }
}
