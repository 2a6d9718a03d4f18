import type { Cache } from '../../ports/cache.ts'
import type { Random } from '../../ports/random.ts'
import type { CookielessConfig } from '../config.ts'
import type { IncomingEvent } from '../incoming-event.ts'
import {
  decodeSession,
  deviceIdOf,
  distinctIdOf,
  encodeSession,
  identifiesKey,
  type Session,
  sessionKey,
  sessionUuid,
  type Visitor,
  visitorHash,
} from './identity.ts'

/** Stands in the place of a distinct id until the server has made one. */
export const cookielessSentinel = '$posthog_cookieless'

/** An event whose visitor is known, with the day's secret. */
export type HashedEvent = { event: IncomingEvent; visitor: Visitor; salt: Buffer; baseHash: Buffer }

type State<T> = { value: T; isChanged: boolean }
type Ports = { cache: Cache; random: Random }

/**
 * Gives events of stateful projects their ids and sessions: all state of the batch is read first, and what
 * changed is written at the end. A batch that is processed again finds its own identifications counted
 * already, so an event that came before one in the same batch may get another id than the first time; an
 * `$identify` itself does not. Fails with `CACHE_UNAVAILABLE`.
 */
export async function resolveStateful(
  hashed: readonly HashedEvent[],
  ports: Ports,
  config: CookielessConfig,
): Promise<void> {
  if (hashed.length === 0) return
  const identifies = await readIdentifies(hashed, ports.cache)
  const found = hashed.map((one) => ({ ...one, ...findVisitor(one, identifies) }))
  const sessions = await readSessions(
    found.map((one) => one.sessionKey),
    ports.cache,
  )
  for (const one of found) {
    const session = continueSession(sessions, one.sessionKey, { ...ports, config, timeMs: one.event.timeMs })
    const { event } = one
    event.properties.$device_id = deviceIdOf(one.baseHash)
    event.properties.$session_id = session.id
    delete event.properties.$distinct_id
    if (event.event === '$identify') event.properties.$anon_distinct_id = one.distinctId
    else if (event.distinctId === cookielessSentinel) event.distinctId = one.distinctId
  }
  for (const [key, { value, isChanged }] of identifies)
    if (isChanged) await ports.cache.setAdd(key, [...value], { ttlMs: config.identifiesTtlMs })
  for (const [key, { value, isChanged }] of sessions)
    if (isChanged) await ports.cache.set(key, encodeSession(value), { ttlMs: config.sessionTtlMs })
}

async function readIdentifies(
  hashed: readonly HashedEvent[],
  cache: Cache,
): Promise<Map<string, State<Set<string>>>> {
  const identifies = new Map<string, State<Set<string>>>()
  for (const { baseHash, visitor } of hashed) {
    const key = identifiesKey(baseHash, visitor.teamId)
    if (!identifies.has(key))
      identifies.set(key, { value: new Set(await cache.setMembers(key)), isChanged: false })
  }
  return identifies
}

/** The id counts the identifications before this person's own: none for the first visitor of the device. */
function findVisitor(
  { event, visitor, salt, baseHash }: HashedEvent,
  identifies: Map<string, State<Set<string>>>,
): { distinctId: string; sessionKey: string } {
  const state = identifies.get(identifiesKey(baseHash, visitor.teamId))
  const seen = state?.value ?? new Set<string>()
  let count = seen.size
  if (event.event === '$identify') {
    if (seen.has(event.uuid)) count--
    else if (state !== undefined) state.isChanged = true
    seen.add(event.uuid)
  } else if (event.distinctId !== cookielessSentinel) count--
  const hash = visitorHash(salt, visitor, count)
  return { distinctId: distinctIdOf(hash), sessionKey: sessionKey(hash, visitor.teamId) }
}

async function readSessions(keys: readonly string[], cache: Cache): Promise<Map<string, State<Session>>> {
  const asked = [...new Set(keys)]
  const texts = await cache.getMany(asked)
  const sessions = new Map<string, State<Session>>()
  for (const [at, key] of asked.entries()) {
    const session = decodeSession(texts[at] ?? '')
    if (session !== undefined) sessions.set(key, { value: session, isChanged: false })
  }
  return sessions
}

function continueSession(
  sessions: Map<string, State<Session>>,
  key: string,
  now: { config: CookielessConfig; random: Random; timeMs: number },
): Session {
  const known = sessions.get(key)?.value
  const isOver = known === undefined || now.timeMs - known.lastActivityMs > now.config.sessionInactivityMs
  const id = isOver ? sessionUuid(now.timeMs, now.random.bytes(10)) : known.id
  const session = { id, lastActivityMs: now.timeMs }
  sessions.set(key, { value: session, isChanged: true })
  return session
}
