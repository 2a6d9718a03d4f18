/**
 * Which log the tables have been filled from. Ranges of offsets name inserts, repeated batches and ledger rows, and
 * on another log the same offsets mean other records: an operator who goes from the embedded log to Kafka begins at
 * 0 again. So every log has an identity, the relational store counts the logs that it has worked with, and what is
 * named by offsets carries the log's number, as part of a lease's `resets`.
 *
 * The embedded log keeps its identity in a file of its folder. A shared log keeps it in a record of its own topic,
 * which is the first thing that a process with a relational store writes there, under a lock.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Database, DatabaseSession } from '../../ports/database.ts'
import type { Log, LogConsumer, PartitionLease } from '../../ports/log.ts'
import type { Random } from '../../ports/random.ts'
import { createUuidSource } from '../../std/uuid.ts'
import type { Logger } from '../../telemetry/logger.ts'

/** More than anybody resets a position. */
const resetsPerLog = 1_000_000

export type HistoryPorts = { log: Log; database: Database; clock: Clock; random: Random; logger: Logger }
export type HistoryOptions = {
  /** The folder of the embedded log; undefined where several processes share the log. */
  directory: string | undefined
  /** Goes on with a shared log that has worked with another relational store. */
  isAdopted: boolean
}

/**
 * Answers the number of the log: 0 for the first that the relational store works with. A new log ends what belongs to
 * the one before it. Fails with `LOG_FOREIGN` where a shared log has worked with another relational store.
 */
export async function joinLogHistory(ports: HistoryPorts, options: HistoryOptions): Promise<number> {
  const { database, logger } = ports
  return await database.withLock('log-history', async () => {
    const known = await readIdentity(ports.log, options)
    const id = known ?? (await giveIdentity(ports, options))
    const number = await numberOf(database, id)
    if (number !== undefined) return number
    const isShared = options.directory === undefined
    if (known !== undefined && isShared && !options.isAdopted) throw foreign()
    const added = await database.transaction((session) => addLog(session, { id, atMs: ports.clock.now() }))
    if (added > 0) logger.warn({ log: id, number: added }, 'the tables go on with another log')
    return added
  })
}

function foreign(): RowmillError {
  return new RowmillError(
    'LOG_FOREIGN',
    'The Kafka of kafka.hosts (KAFKA_HOSTS) has worked with another PostgreSQL: set DATABASE_URL to the one that the other processes use, set kafka.topicPrefix to a prefix of your own, or, if that PostgreSQL is gone for good, set isLogAdopted (ROWMILL_IS_LOG_ADOPTED) for one start.',
  )
}

async function readIdentity(log: Log, { directory }: HistoryOptions): Promise<string | undefined> {
  if (directory !== undefined) {
    const path = join(directory, 'identity')
    return existsSync(path) ? (await readFile(path, 'utf8')).trim() : undefined
  }
  const described = (await log.describe()).find(({ name }) => name === topics.log)
  const start = described?.bounds[0]?.start ?? 0
  for await (const records of log.scan({ topic: topics.log, partition: 0, from: start }))
    for (const { value } of records) return value.toString()
  return undefined
}

async function giveIdentity(
  { log, clock, random }: HistoryPorts,
  { directory }: HistoryOptions,
): Promise<string> {
  const id = createUuidSource((length) => random.bytes(length)).v7(clock.now())
  if (directory !== undefined) await writeFile(join(directory, 'identity'), `${id}\n`)
  else await log.append([{ topic: topics.log, partition: 0, key: null, value: Buffer.from(id) }])
  return id
}

async function numberOf(database: Database, id: string): Promise<number | undefined> {
  const [row] = await database.query<{ number: number }>('select number from rowmill_log where id = $1', [id])
  return row?.number
}

/** What was named by offsets of the log before has come to its end with it. */
async function addLog(session: DatabaseSession, { id, atMs }: { id: string; atMs: number }): Promise<number> {
  const [row] = await session.query<{ number: number }>(
    `insert into rowmill_log (id, number, began_at)
     select $1, coalesce(max(number) + 1, 0), to_timestamp($2::double precision / 1000) from rowmill_log returning number`,
    [id, atMs],
  )
  const number = row?.number ?? 0
  if (number === 0) return number
  await session.execute('delete from rowmill_ingest_batch')
  await session.execute('delete from dead_letters_handled')
  await session.execute(
    `update dead_letter_requests set finished_at = now(), error = 'The log was exchanged for another one.'
     where finished_at is null`,
  )
  await session.execute(
    `update rowmill_deletion set waits_for = jsonb_set(waits_for, '{ends}', '[]') where stage <> 'finished'`,
  )
  return number
}

/** The log as stages read it: its leases count the logs before it among their resets. */
export function withHistory(log: Log, number: number): Log {
  if (number === 0) return log
  const lease = (inner: PartitionLease): PartitionLease => ({
    topic: inner.topic,
    partition: inner.partition,
    position: inner.position,
    skippedTo: inner.skippedTo,
    intended: inner.intended,
    resets: number * resetsPerLog + inner.resets,
    signal: inner.signal,
    batches: (options) => inner.batches(options),
    intend: (until) => inner.intend(until),
    commit: (commit) => inner.commit(commit),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  })
  const consumer = (inner: LogConsumer): LogConsumer => ({
    async *leases() {
      for await (const each of inner.leases()) yield lease(each)
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  })
  return {
    ensureTopics: (specs) => log.ensureTopics(specs),
    describe: () => log.describe(),
    append: (records) => log.append(records),
    checkRoom: () => log.checkRoom(),
    consume: (options) => consumer(log.consume(options)),
    read: (topic, partition, offset) => log.read(topic, partition, offset),
    scan: (options) => log.scan(options),
    offsetAt: (topic, partition, timestampMs) => log.offsetAt(topic, partition, timestampMs),
    positions: (group) => log.positions(group),
    reset: (position) => log.reset(position),
    forget: (group) => log.forget(group),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  }
}
