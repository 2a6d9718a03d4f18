/**
 * The keys that outlive the process, in the table `rowmill_cache`. Memory changes first; a write resolves
 * when a flush that began after it is done, and one flush carries everything that has changed since the last
 * one. When a flush fails, every key that was not durable goes back to what is, and every write that waits
 * fails: nothing that was not acknowledged is left to be seen.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { Database } from '../../../ports/database.ts'
import { type CacheValue, copyOf, type Entries, type Entry } from './entries.ts'

/** What a key held when it was last durable; `undefined`: nothing. */
type Before = Map<string, Entry | undefined>

export interface DurableKeys {
  /** Call before a change of a key that is kept, or that will be. */
  touch(key: string): void
  /** Resolves when every change so far is durable. Fails with `CACHE_UNAVAILABLE`. */
  flush(): Promise<void>
  /** Resolves when no flush is under way, however it went. */
  settled(): Promise<void>
}

export function createDurableKeys(database: Database | undefined, entries: Entries): DurableKeys {
  let dirty: Before = new Map()
  let waiters: PromiseWithResolvers<void>[] = []
  let running: Promise<void> | undefined

  const run = async (): Promise<void> => {
    while (waiters.length > 0) {
      const inFlight = dirty
      const waiting = waiters
      dirty = new Map()
      waiters = []
      try {
        await writeKeys(database, entries, [...inFlight.keys()])
        for (const waiter of waiting) waiter.resolve()
      } catch (cause) {
        for (const [key, before] of [...dirty, ...inFlight]) restore(entries, key, before)
        const failed = [...waiting, ...waiters]
        dirty = new Map()
        waiters = []
        const error = new RowmillError('CACHE_UNAVAILABLE', 'A key of the cache could not be made durable.', {
          cause,
        })
        for (const waiter of failed) waiter.reject(error)
      }
    }
    running = undefined
  }

  return {
    touch(key) {
      if (dirty.has(key)) return
      const entry = entries.find(key)
      dirty.set(key, entry === undefined ? undefined : copyOf(entry))
    },
    flush() {
      const waiter = Promise.withResolvers<void>()
      waiters.push(waiter)
      running ??= run()
      return waiter.promise
    },
    settled: async () => await running,
  }
}

function restore(entries: Entries, key: string, before: Entry | undefined): void {
  if (before === undefined) entries.remove(key)
  else entries.put(key, before)
}

async function writeKeys(
  database: Database | undefined,
  entries: Entries,
  keys: readonly string[],
): Promise<void> {
  if (keys.length === 0) return
  if (database === undefined)
    throw new RowmillError('CACHE_UNAVAILABLE', 'This process has no relational store to keep keys in.')
  const kept = keys.flatMap((key) => {
    const entry = entries.find(key)
    return entry?.isKept === true ? [{ key, entry }] : []
  })
  const present = new Set(kept.map(({ key }) => key))
  const gone = keys.filter((key) => !present.has(key))
  // One statement, so that a crash leaves all of a flush or nothing.
  await database.execute(
    `with gone as (delete from rowmill_cache where key_hash = any($1::bytea[]))
     insert into rowmill_cache (key_hash, key, kind, value, expires_at_ms)
     select * from unnest($2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[])
     on conflict (key_hash) do update
       set kind = excluded.kind, value = excluded.value, expires_at_ms = excluded.expires_at_ms`,
    [
      gone.map(hashOf),
      kept.map(({ key }) => hashOf(key)),
      kept.map(({ key }) => JSON.stringify(key)),
      kept.map(({ entry }) => entry.value.kind),
      kept.map(({ entry }) => encodeValue(entry.value)),
      kept.map(({ entry }) => entry.expiresAtMs ?? null),
    ],
  )
}

/** Fills `entries` with what is durable and has not expired. */
export async function loadDurableKeys(database: Database, entries: Entries, nowMs: number): Promise<void> {
  await database.execute('delete from rowmill_cache where expires_at_ms <= $1', [nowMs])
  const rows = await database.query<Row>('select key, kind, value, expires_at_ms from rowmill_cache')
  for (const row of rows) {
    const expiresAtMs = row.expires_at_ms === null ? undefined : Number(row.expires_at_ms)
    entries.put(z.string().parse(JSON.parse(row.key)), { value: decodeValue(row), expiresAtMs, isKept: true })
  }
}

type Row = { key: string; kind: string; value: string; expires_at_ms: string | null }

const textValue = z.string()
const setValue = z.array(z.string())
const sortedValue = z.array(z.tuple([z.string(), z.number()]))

function encodeValue(value: CacheValue): string {
  if (value.kind === 'text') return JSON.stringify(value.text)
  return JSON.stringify([...(value.kind === 'set' ? value.members : value.scores)])
}

function decodeValue(row: Row): CacheValue {
  const value: unknown = JSON.parse(row.value)
  if (row.kind === 'set') return { kind: 'set', members: new Set(setValue.parse(value)) }
  if (row.kind === 'sorted') return { kind: 'sorted', scores: new Map(sortedValue.parse(value)) }
  return { kind: 'text', text: textValue.parse(value) }
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(JSON.stringify(key)).digest()
}
