/**
 * Which connection a request runs on. Without `session_id` it is a fresh one, so that nothing a request sets
 * is seen by another. With it the connection is kept, with its temporary tables and what SET did; the
 * settings in a request's URL are taken back after the request.
 */

import type { Clock } from '../../../../ports/clock.ts'
import { type Connection, type Engine, quoteIdentifier, quoteString } from '../engine.ts'
import { failure } from '../failure.ts'
import type { HostRequest } from './request.ts'

export type Lease = { connection: Connection; release(): Promise<void> }

export interface Sessions extends AsyncDisposable {
  /** A connection on which the request's database, settings and parameters are in force. */
  lease(request: HostRequest, options: { tag: string; isReadOnly: boolean }): Promise<Lease>
}

export type SessionsConfig = {
  database: string
  sessionsMax: number
  /** Settings that hold unless the request says otherwise. */
  settings: Readonly<Record<string, string>>
}

type Kept = { connection: Connection; isBusy: boolean; expiry: AbortController }

export function createSessions(context: { engine: Engine; clock: Clock }, config: SessionsConfig): Sessions {
  const kept = new Map<string, Kept>()
  return {
    lease: (request, options) =>
      request.session === undefined
        ? leaseFresh({ ...context, config }, request, options)
        : leaseKept({ ...context, config, kept }, request, { tag: options.tag, session: request.session }),
    async [Symbol.asyncDispose]() {
      const all = [...kept.values()]
      kept.clear()
      for (const one of all) one.expiry.abort()
      await Promise.all(all.map((one) => one.connection[Symbol.asyncDispose]()))
    },
  }
}

async function leaseFresh(
  context: { engine: Engine; config: SessionsConfig },
  request: HostRequest,
  options: { tag: string; isReadOnly: boolean },
): Promise<Lease> {
  const { engine, config } = context
  const connection = engine.connect()
  try {
    const settings = new Map([...Object.entries(config.settings), ...request.settings])
    // A read-only request may not loosen itself: ClickHouse gives GET the level that still allows SETTINGS.
    const readonly = settings.get('readonly') ?? '0'
    settings.set('readonly', options.isReadOnly && readonly === '0' ? '2' : readonly)
    const database = request.database ?? config.database
    await connection.read(preludeOf(request, { settings, tag: options.tag, database }))
  } catch (error) {
    await connection[Symbol.asyncDispose]()
    throw error
  }
  return {
    connection,
    async release() {
      await connection[Symbol.asyncDispose]()
    },
  }
}

type KeptContext = { engine: Engine; clock: Clock; config: SessionsConfig; kept: Map<string, Kept> }
type HttpSession = NonNullable<HostRequest['session']>

async function leaseKept(
  context: KeptContext,
  request: HostRequest,
  options: { tag: string; session: HttpSession },
): Promise<Lease> {
  const { session, tag } = options
  const { config } = context
  const isNew = !context.kept.has(session.id)
  const own = takeKept(context, session)
  const { connection } = own
  const release = async (undo: string) => {
    try {
      if (undo !== '') await connection.read(undo)
    } finally {
      own.isBusy = false
      expireLater(context, { session, own })
    }
  }
  try {
    const undo = await undoOf(connection, request)
    const settings = new Map([...(isNew ? Object.entries(config.settings) : []), ...request.settings])
    const database = request.database ?? (isNew ? config.database : undefined)
    await connection.read(preludeOf(request, { settings, tag, database }))
    return { connection, release: () => release(undo) }
  } catch (error) {
    await release('')
    throw error
  }
}

function takeKept(context: KeptContext, session: HttpSession): Kept {
  const { kept, engine, config } = context
  let found = kept.get(session.id)
  if (found === undefined) {
    if (session.mustExist) throw failure('SESSION_NOT_FOUND', 'Session not found or expired.')
    if (kept.size >= config.sessionsMax)
      throw failure('TOO_MANY_SIMULTANEOUS_QUERIES', `More than ${config.sessionsMax} sessions are open.`)
    found = { connection: engine.connect(), isBusy: false, expiry: new AbortController() }
    kept.set(session.id, found)
  }
  if (found.isBusy)
    throw failure('SESSION_IS_LOCKED', `Session ${session.id} is locked by a concurrent client.`)
  found.isBusy = true
  found.expiry.abort()
  return found
}

function expireLater(context: KeptContext, options: { session: HttpSession; own: Kept }): void {
  const { session, own } = options
  own.expiry = new AbortController()
  const { signal } = own.expiry
  void context.clock.sleep(session.timeoutMs, { signal }).then(async () => {
    if (signal.aborted) return
    context.kept.delete(session.id)
    await own.connection[Symbol.asyncDispose]()
  })
}

/** USE and SET for a request. `readonly` comes last: after it nothing can be set. */
function preludeOf(
  request: HostRequest,
  options: { settings: Map<string, string>; tag: string; database: string | undefined },
): string {
  const { settings, tag, database } = options
  const comment = settings.get('log_comment') ?? ''
  settings.set('log_comment', comment === '' ? tag : `${comment} ${tag}`)
  const readonly = settings.get('readonly')
  settings.delete('readonly')
  const sets = [
    ...[...request.parameters].map(([name, value]) => `param_${name} = ${quoteString(value)}`),
    ...[...settings].map(([name, value]) => `${name} = ${quoteString(value)}`),
  ]
  const statements = [
    ...(database === undefined ? [] : [`USE ${quoteIdentifier(database)}`]),
    `SET ${sets.join(', ')}`,
    ...(readonly === undefined || readonly === '0' ? [] : [`SET readonly = ${quoteString(readonly)}`]),
  ]
  return statements.join('; ')
}

/** The SET that brings back what the request's settings replace. */
async function undoOf(connection: Connection, request: HostRequest): Promise<string> {
  const names = [...request.settings.keys()].filter((name) => name !== 'readonly')
  if (names.length === 0) return ''
  const list = names.map(quoteString).join(', ')
  const before = await connection.read(
    `SELECT name, value FROM system.settings WHERE changed AND name IN (${list})`,
    'JSONCompact',
  )
  const { data }: { data: [string, string][] } = JSON.parse(Buffer.from(before.bytes).toString())
  const values = new Map(data)
  const sets = names.map((name) => {
    const value = values.get(name)
    return `${name} = ${value === undefined ? 'DEFAULT' : quoteString(value)}`
  })
  return `SET ${sets.join(', ')}`
}
