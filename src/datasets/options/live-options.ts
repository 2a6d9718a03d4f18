/**
 * Options of consumers that take effect while they run: a typed row per option in the relational store, read
 * again at every notice and from time to time. A value for one storage wins over the value for all. Names and
 * meanings are Snuba's where it has the option.
 */
import { z } from 'zod'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Logger } from '../../telemetry/logger.ts'

type LiveOption = { schema: z.ZodType; means: string; example: string }

const share = z.number().min(0).max(1)

export const liveOptionRegister = {
  'consumer.dlq_by_age_sample_rate_by_storage': {
    schema: z.record(z.string(), share),
    means: 'Share of messages older than the threshold that go to the dead letters, by storage.',
    example: '{"errors":0.5}',
  },
  'consumer.dlq_by_age_threshold_seconds': {
    schema: z.int().min(1),
    means: 'Age from which a message counts as old; 600 if it is not set.',
    example: '600',
  },
  eap_items_dlq_grace_period_min: {
    schema: z.record(z.string(), z.int().min(0)),
    means:
      'Minutes around the change of the week in which items of the other week are still taken, by storage; later they are set aside.',
    example: '{"eap_items":30}',
  },
  eap_items_emit_received_at: {
    schema: z.boolean(),
    means: 'Write the time of the append as received_at into the rows of eap_items.',
    example: 'true',
  },
  generic_metrics_use_case_killswitch: {
    schema: z.string(),
    means: 'Metrics whose use case is part of this text are skipped.',
    example: '"spans,transactions"',
  },
  max_group_ids_exclude: {
    schema: z.int().min(1),
    means: 'Groups of a project that readers leave out by name after a replacement.',
    example: '256',
  },
  max_spans_per_transaction: {
    schema: z.int().min(0),
    means: 'Spans of a transaction that become part of its row; 2000 if it is not set.',
    example: '2000',
  },
  quantized_rebalance_consumer_group_delay_secs: {
    schema: z.record(z.string(), z.int().min(0)),
    means: 'Seconds to whose multiples a consumer waits before it joins or leaves, by group.',
    example: '{"datasets-errors":15}',
  },
  replacements_bypass_projects: {
    schema: z.array(z.int().min(0)),
    means: 'Projects whose replacements are skipped.',
    example: '[1,2]',
  },
} as const satisfies Readonly<Record<string, LiveOption>>

export type LiveOptionName = keyof typeof liveOptionRegister

export type LiveOptionRow = { name: string; storage: string; value: unknown; updatedAt: string }

/** Reads what is set now, by storage. */
export interface LiveOptions {
  /** The options for a storage, as of the last reading. The same object until something changes. */
  of(storage: string): Readonly<Record<string, unknown>>
}

const channel = 'rowmill_live_options'

export type LiveOptionsPorts = { database: Database; clock: Clock; logger: Logger }

/**
 * Reads the options once, and again until the signal aborts. A store that cannot be reached leaves the last
 * values in place.
 */
export async function openLiveOptions(
  ports: LiveOptionsPorts,
  config: { pollIntervalMs: number },
  options: { signal: AbortSignal },
): Promise<LiveOptions & AsyncDisposable> {
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  let rows = await listLiveOptions(ports.database)
  let byStorage = new Map<string, Readonly<Record<string, unknown>>>()
  const read = async () => {
    try {
      rows = await listLiveOptions(ports.database)
      byStorage = new Map()
    } catch (error) {
      if (!(error instanceof RowmillError)) throw error
      ports.logger.warn({ error }, 'live options could not be read; the last values stay')
    }
  }
  const running = Promise.all([listen(ports, read, signal), poll(ports, { ...config, read, signal })])
  return {
    of(storage) {
      const known = byStorage.get(storage)
      if (known !== undefined) return known
      const values = valuesFor(rows, storage)
      byStorage.set(storage, values)
      return values
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

async function listen(
  { database }: LiveOptionsPorts,
  read: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for await (const _ of database.listen(channel, { signal })) await read()
}

async function poll(
  { clock }: LiveOptionsPorts,
  {
    pollIntervalMs,
    read,
    signal,
  }: { pollIntervalMs: number; read: () => Promise<void>; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(pollIntervalMs, { signal })
    if (!signal.aborted) await read()
  }
}

function valuesFor(rows: readonly LiveOptionRow[], storage: string): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {}
  for (const row of rows) if (row.storage === '') values[row.name] = row.value
  for (const row of rows) if (row.storage === storage && storage !== '') values[row.name] = row.value
  return Object.freeze(values)
}

/** Every value that is set, by name and storage. */
export async function listLiveOptions(database: Database): Promise<LiveOptionRow[]> {
  const rows = await database.query<{ name: string; storage: string; value: unknown; updated_at: string }>(
    'select name, storage, value, updated_at from live_options order by name, storage',
  )
  return rows.map(({ name, storage, value, updated_at }) => ({ name, storage, value, updatedAt: updated_at }))
}

export type LiveOptionChange = {
  name: string
  /** Empty for all storages. */
  storage: string
  /** `undefined` takes the value back. */
  value: unknown
  changedBy: string
}

/** Sets or takes back a value, and tells every consumer. Fails with `OPTION_INVALID`. */
export async function changeLiveOption(database: Database, change: LiveOptionChange): Promise<void> {
  const { name, storage, changedBy } = change
  const value = change.value === undefined ? undefined : JSON.stringify(checkLiveOption(name, change.value))
  if (!Object.hasOwn(liveOptionRegister, name)) throw unknownOption(name)
  await database.transaction(async (session) => {
    if (value === undefined)
      await session.execute('delete from live_options where name = $1 and storage = $2', [name, storage])
    else
      await session.execute(
        `insert into live_options (name, storage, value) values ($1, $2, $3)
         on conflict (name, storage) do update set value = excluded.value, updated_at = now()`,
        [name, storage, value],
      )
    await session.execute(
      'insert into live_option_changes (name, storage, value, changed_by) values ($1, $2, $3, $4)',
      [name, storage, value ?? null, changedBy],
    )
    await session.query('select pg_notify($1, $2)', [channel, name])
  })
}

/** The value as its option takes it. Fails with `OPTION_INVALID`. */
export function checkLiveOption(name: string, value: unknown): unknown {
  if (!isLiveOption(name)) throw unknownOption(name)
  const { schema, example } = liveOptionRegister[name]
  const read = schema.safeParse(value)
  if (read.success) return read.data
  const [issue] = read.error.issues
  throw new RowmillError(
    'OPTION_INVALID',
    `The value of ${name} does not fit: ${issue?.message ?? 'it is of the wrong kind'}. Like this: ${example}`,
  )
}

function isLiveOption(name: string): name is LiveOptionName {
  return Object.hasOwn(liveOptionRegister, name)
}

function unknownOption(name: string): RowmillError {
  const names = Object.keys(liveOptionRegister).join(', ')
  return new RowmillError('OPTION_INVALID', `There is no live option ${name}. There are: ${names}.`)
}

export type LiveOptionChangeRow = LiveOptionChange & { changedAt: string }

/** The newest changes, newest first. */
export async function listLiveOptionChanges(
  database: Database,
  limit: number,
): Promise<LiveOptionChangeRow[]> {
  const rows = await database.query<{
    name: string
    storage: string
    value: unknown
    changed_by: string
    changed_at: string
  }>(
    'select name, storage, value, changed_by, changed_at from live_option_changes order by id desc limit $1',
    [limit],
  )
  return rows.map(({ name, storage, value, changed_by, changed_at }) => ({
    name,
    storage,
    value: value ?? undefined,
    changedBy: changed_by,
    changedAt: changed_at,
  }))
}
