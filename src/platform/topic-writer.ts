/**
 * Writes records to a topic from a command: through the program that owns the embedded log, if one runs on the data
 * folder, and otherwise into the log itself.
 */
import { resolve } from 'node:path'
import { deleteKey, generateKey, storeKey } from '../api/auth/keys.ts'
import { isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import type { Log, NewRecord } from '../ports/log.ts'
import type { Config } from './config/config.ts'
import { openDataDir } from './data-dir.ts'
import { openLog } from './engines/log.ts'
import { createGround } from './ground.ts'
import { joinEngines } from './join.ts'
import { placesOf } from './needs.ts'
import { readRunFile } from './run-file.ts'

export interface TopicWriter extends AsyncDisposable {
  /** Resolves when the records are durable. */
  append(records: readonly NewRecord[]): Promise<void>
}

export async function openTopicWriter(
  config: Config,
  topic: { name: string; partitions: number },
): Promise<TopicWriter> {
  const isOwned = placesOf(config).log === 'embedded' && readRunFile(config.dataDir) !== undefined
  if (isOwned) return openRemoteWriter(config, topic.name)
  const log = await openOwnLog(config)
  const { retentionMs } = config.log
  const isKnown = (await log.describe()).some(({ name }) => name === topic.name)
  if (!isKnown) await log.ensureTopics([{ ...topic, retentionMs }])
  return {
    append: async (records) => void (await log.append(records)),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  }
}

/** Kafka, or the log of a data folder on which nothing runs. Fails with `LOG_LOCKED` and what to do when something does. */
export async function openOwnLog(config: Config): Promise<Log> {
  const ground = createGround({ ...config, logLevel: 'warn' }, { isToStderr: true })
  if (placesOf(config).log === 'outside') return await openLog(ground, { ...config, startWaitMs: 0 })
  const dataDir = resolve(config.dataDir)
  await openDataDir(dataDir)
  try {
    return await openLog(ground, config)
  } catch (cause) {
    if (!isRowmillError(cause, 'LOG_LOCKED')) throw cause
    throw new RowmillError('LOG_LOCKED', `Rowmill runs on ${dataDir} and owns its log; stop it first.`, {
      cause,
    })
  }
}

/** The program takes records over HTTP, with a key that is made for this and removed afterwards. */
async function openRemoteWriter(config: Config, topic: string): Promise<TopicWriter> {
  await using stack = new AsyncDisposableStack()
  const { database, random, url = '' } = stack.use(await joinEngines(config))
  const value = generateKey(random)
  const key = await storeKey(database, { value, label: 'rowmill produce' })
  stack.defer(async () => void (await deleteKey(database, key.id)))
  const owned = stack.move()
  const address = `${url}/api/topics/${encodeURIComponent(topic)}/records`
  return {
    async append(records) {
      const answer = await fetch(address, {
        method: 'POST',
        headers: { authorization: `Bearer ${value}`, 'content-type': 'application/json' },
        body: JSON.stringify({ records: records.map(askFor) }),
      })
      const text = await answer.text()
      if (answer.status !== 201) throw new RowmillError('LOG_UNAVAILABLE', refusal(answer.status, text))
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function askFor({ key, value, headers, partition, timestampMs }: NewRecord): object {
  const keyed = key === null ? {} : { key_base64: Buffer.from(key).toString('base64') }
  return {
    ...keyed,
    value_base64: value.toString('base64'),
    headers,
    partition,
    timestamp_ms: timestampMs,
  }
}

function refusal(status: number, text: string): string {
  const detail = /"detail":("(?:[^"\\]|\\.)*")/.exec(text)?.[1]
  const said: unknown = detail === undefined ? text : JSON.parse(detail)
  return `Rowmill answered ${status}: ${String(said)}`
}
