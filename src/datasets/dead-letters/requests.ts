/**
 * What is done about dead letters. A command asks in the relational store; a program that owns the log
 * carries it out, because the log has one writer. A replay gives the original record, its headers and its
 * bytes, to the topic and partition that it came from.
 *
 * A request is carried out once, also when the program dies in the middle: all records of a request are one
 * append, and before it the ends of the topics are noted, so that a second try can look whether the first
 * one's records are there.
 */
import { z } from 'zod'
import { isRetryable, RowmillError } from '../../errors/rowmill-error.ts'
import type { LogHeaders } from '../../event/headers.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Log, NewRecord, RecordPosition } from '../../ports/log.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { DeadLettersConfig } from './config.ts'
import { type DeadLetter, type DeadLetterAction, readDeadLetter } from './dead-letters.ts'

export type RequestPorts = { log: Log; database: Database; clock: Clock; logger: Logger }

export type DeadLetterRequest = {
  id: number
  isFinished: boolean
  /** Dead letters that were replayed or dropped now; others had been before, or were deleted by retention. */
  handled: number
  error: string | undefined
}

const channel = 'rowmill_dead_letters'
/** Names the request in a replayed record. */
const requestHeader = 'dlq_request'

const placesSchema = z.array(
  z.object({ topic: z.string(), partition: z.int().min(0), offset: z.int().min(0) }),
)
const endsSchema = z.record(z.string(), z.array(z.int().min(0)))

/** Asks, in as many requests as it takes. Answers their ids. */
export async function requestDeadLetters(
  database: Database,
  ask: { action: DeadLetterAction; letters: readonly RecordPosition[] },
  { requestLettersMax }: Pick<DeadLettersConfig, 'requestLettersMax'>,
): Promise<number[]> {
  const ids: number[] = []
  for (let from = 0; from < ask.letters.length; from += requestLettersMax) {
    const letters = ask.letters
      .slice(from, from + requestLettersMax)
      .map(({ topic, partition, offset }) => ({ topic, partition, offset }))
    const [row] = await database.query<{ id: string }>(
      'insert into dead_letter_requests (action, letters) values ($1, $2) returning id',
      [ask.action, JSON.stringify(letters)],
    )
    ids.push(Number(row?.id))
  }
  if (ids.length > 0) await database.query('select pg_notify($1, $2)', [channel, ids.join(',')])
  return ids
}

/** How requests stand. */
export async function readDeadLetterRequests(
  database: Database,
  ids: readonly number[],
): Promise<DeadLetterRequest[]> {
  const rows = await database.query<{
    id: string
    is_finished: boolean
    handled: number
    error: string | null
  }>(
    `select id, finished_at is not null as is_finished, handled, error
     from dead_letter_requests where id = any($1) order by id`,
    [ids],
  )
  return rows.map(({ id, is_finished, handled, error }) => ({
    id: Number(id),
    isFinished: is_finished,
    handled,
    error: error ?? undefined,
  }))
}

/** Carries out requests as they come, until the signal aborts. One process at a time does. */
export async function runDeadLetterRequests(
  ports: RequestPorts,
  config: Pick<DeadLettersConfig, 'pollIntervalMs'>,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const work = async () => {
    try {
      await ports.database.withLock('dead-letters', () => carryOutAll(ports, signal), { signal })
    } catch (error) {
      if (signal.aborted) return
      if (!isRetryable(error)) throw error
      ports.logger.warn({ error }, 'requests about dead letters wait')
    }
  }
  const listen = async () => {
    for await (const _ of ports.database.listen(channel, { signal })) await work()
  }
  const poll = async () => {
    while (!signal.aborted) {
      await work()
      await ports.clock.sleep(config.pollIntervalMs, { signal })
    }
  }
  await Promise.all([listen(), poll()])
}

type OpenRequest = { id: number; action: DeadLetterAction; letters: RecordPosition[]; started: unknown }

async function carryOutAll(ports: RequestPorts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const [row] = await ports.database.query<{
      id: string
      action: DeadLetterAction
      letters: unknown
      started: unknown
    }>(
      `select id, action, letters, started from dead_letter_requests
       where finished_at is null order by id limit 1`,
    )
    if (row === undefined) return
    const request = { ...row, id: Number(row.id), letters: placesSchema.parse(row.letters) }
    await carryOut(ports, request)
  }
}

/** Carries out one request. What cannot succeed later is written into the request, and it is over. */
async function carryOut(ports: RequestPorts, request: OpenRequest): Promise<void> {
  const letters: DeadLetter[] = []
  for (const place of request.letters) {
    const letter = await readDeadLetter(ports, place)
    if (letter !== undefined && letter.handled === undefined) letters.push(letter)
  }
  let error: string | undefined
  try {
    if (request.action === 'replay' && letters.length > 0) await replay(ports, request, letters)
  } catch (failure) {
    if (!(failure instanceof RowmillError) || isRetryable(failure)) throw failure
    error = failure.message
  }
  const handled = error === undefined ? letters : []
  await finish(ports.database, { request, handled, error })
  ports.logger.info(
    { request: request.id, action: request.action, handled: handled.length, error },
    'a request about dead letters is done',
  )
}

async function replay(
  ports: RequestPorts,
  request: OpenRequest,
  letters: readonly DeadLetter[],
): Promise<void> {
  const { log, database } = ports
  if (request.started === null) {
    const ends = await endsOf(log, new Set(letters.map(({ source }) => source.topic)))
    await database.execute('update dead_letter_requests set started = $2 where id = $1', [
      request.id,
      JSON.stringify(ends),
    ])
  } else if (await hasReplayed(log, request)) return
  await log.append(letters.map((letter) => replayed(letter, request.id)))
}

async function endsOf(log: Log, wanted: ReadonlySet<string>): Promise<Record<string, number[]>> {
  const ends: Record<string, number[]> = {}
  for (const { name, bounds } of await log.describe())
    if (wanted.has(name)) ends[name] = bounds.map(({ end }) => end)
  return ends
}

/** Whether a record of this request is on a topic, from where the topics ended when it was begun. */
async function hasReplayed(log: Log, request: OpenRequest): Promise<boolean> {
  for (const [topic, ends] of Object.entries(endsSchema.parse(request.started)))
    for (const [partition, from] of ends.entries())
      for await (const records of log.scan({ topic, partition, from }))
        if (records.some(({ headers }) => headers[requestHeader] === String(request.id))) return true
  return false
}

function replayed({ record, source }: DeadLetter, requestId: number): NewRecord {
  const headers: Record<string, LogHeaders[string]> = {}
  for (const [name, value] of Object.entries(record.headers))
    if (!name.startsWith('dlq_') && value !== undefined) headers[name] = value
  headers[requestHeader] = String(requestId)
  return {
    topic: source.topic,
    partition: source.partition,
    key: record.key,
    value: record.value,
    headers,
    timestampMs: record.timestampMs,
  }
}

type Finished = { request: OpenRequest; handled: readonly DeadLetter[]; error: string | undefined }

async function finish(database: Database, { request, handled, error }: Finished): Promise<void> {
  await database.transaction(async (session) => {
    await session.execute(
      `insert into dead_letters_handled (topic, partition, "offset", action, request_id)
       select letter.topic, letter.partition, letter."offset", $2, $3
       from jsonb_to_recordset($1) as letter (topic text, partition int, "offset" bigint)
       on conflict do nothing`,
      [JSON.stringify(handled.map(({ place }) => place)), request.action, request.id],
    )
    await session.execute(
      'update dead_letter_requests set finished_at = now(), handled = $2, error = $3 where id = $1',
      [request.id, handled.length, error ?? null],
    )
  })
}
