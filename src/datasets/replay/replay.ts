/**
 * Session replay: snapshots become blocks in the blob store, and each session of a batch one row about them.
 *
 * A block's key is made of project, session, place and offset range: a batch that is read again writes the
 * same blocks under the same keys, and its row carries the same token. A block is gzip over lines of
 * `[window id, rrweb event]`, in the order of the log.
 */
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { topics } from '../../event/topics.ts'
import type { Blobs } from '../../ports/blobs.ts'
import type { LogBatch } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import { clickhouseTime } from '../../std/time.ts'
import { mapKeyed } from '../../stream/map-keyed.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { Stage, StageResult } from '../../stream/stage.ts'
import { batchLimits, usualLimits } from '../batch-limits.ts'
import type { DatasetsConfig } from '../config.ts'
import { writeRows } from '../consume/write-rows.ts'
import { createRowBuffer } from '../row-buffer.ts'
import { type ReplayMessage, readReplayMessage } from './replay-message.ts'
import { activeMsOf, addSnapshot, createSnapshotFacts, type SnapshotFacts } from './snapshot-facts.ts'

/** Which project a token belongs to; nothing where there is none. */
export type ResolveTeam = (token: string) => Promise<{ teamId: number } | undefined>

export type ReplayPorts = { warehouse: Warehouse; blobs: Blobs; resolveTeam: ResolveTeam }

const table = 'session_replay_events'
const writer = { format: 'JSONEachRow', compression: 'none', settings: {} } as const
const compress = promisify(gzip)
/** Later than every event: a pair with this time loses against any other. */
const neverText = '2299-12-31 00:00:00.000000'

export function createReplayStage(ports: ReplayPorts, config: DatasetsConfig): Stage {
  return {
    group: 'datasets-session-replay',
    topics: [topics.replay, topics.replayOverflow],
    batch: batchLimits(config, usualLimits),
    openPartition: async () => ({
      process: (batch, { signal }) => processBatch(ports, batch, { config, signal }),
      async [Symbol.asyncDispose]() {},
    }),
  }
}

type Session = {
  teamId: number
  sessionId: string
  distinctId: string
  source: string
  library: string
  /** Indexes of its messages in the batch. */
  owners: number[]
  lines: string[]
  facts: SnapshotFacts
}
type Options = { config: DatasetsConfig; signal: AbortSignal }

async function processBatch(ports: ReplayPorts, batch: LogBatch, options: Options): Promise<StageResult> {
  const messages = batch.records.map((record) =>
    readReplayMessage(record, { bytesMax: options.config.replayMessageBytesMax }),
  )
  const teams = await resolveTeams(ports, messages)
  const sessions = new Map<string, Session>()
  const outcomes = messages.map((message, owner): Outcome => {
    if (typeof message === 'string')
      return { kind: 'dead-letter', reason: 'replay_invalid', error: new TypeError(message) }
    const teamId = teams.get(message.token)
    if (teamId === undefined) return { kind: 'drop', reason: 'unknown_token' }
    const hasTime = addMessage(sessionOf(sessions, message, teamId), message, { owner, ...options.config })
    if (!hasTime) return { kind: 'drop', reason: 'replay_invalid', details: { why: 'No event has a time.' } }
    return { kind: 'next', records: [] }
  })
  const timed = [...sessions.values()].filter(({ owners }) => owners.length > 0)
  for (const { session, error } of await writeSessions(ports, { batch, sessions: timed }, options))
    for (const owner of session.owners)
      outcomes[owner] = { kind: 'dead-letter', reason: 'row_refused', error }
  return { outcomes }
}

async function resolveTeams(
  ports: ReplayPorts,
  messages: readonly (ReplayMessage | string)[],
): Promise<Map<string, number>> {
  const tokens = new Set(messages.flatMap((message) => (typeof message === 'string' ? [] : [message.token])))
  const teams = new Map<string, number>()
  for (const token of tokens) {
    const team = await ports.resolveTeam(token)
    if (team !== undefined) teams.set(token, team.teamId)
  }
  return teams
}

function sessionOf(sessions: Map<string, Session>, message: ReplayMessage, teamId: number): Session {
  const key = `${teamId} ${message.sessionId}`
  const found = sessions.get(key)
  if (found !== undefined) return found
  const { sessionId, distinctId, source, library } = message
  const facts = createSnapshotFacts()
  const session = { teamId, sessionId, distinctId, source, library, owners: [], lines: [], facts }
  sessions.set(key, session)
  return session
}

/** Whether any of its events has a usable time; a message without is left out. */
function addMessage(
  session: Session,
  message: ReplayMessage,
  { owner, replayUrlsMax }: { owner: number; replayUrlsMax: number },
): boolean {
  let isTimed = false
  const lines: string[] = []
  for (const item of message.items) {
    if (addSnapshot(session.facts, item, { urlsMax: replayUrlsMax })) isTimed = true
    lines.push(JSON.stringify([message.windowId, item]))
  }
  if (!isTimed) return false
  session.owners.push(owner)
  for (const line of lines) session.lines.push(line)
  return true
}

type SessionBatch = { batch: LogBatch; sessions: readonly Session[] }

/** Blocks first, rows after them: a row never names a block that is not there. */
async function writeSessions(
  ports: ReplayPorts,
  { batch, sessions }: SessionBatch,
  { config, signal }: Options,
): Promise<{ session: Session; error: unknown }[]> {
  const rows = createRowBuffer(0)
  const texts = await mapKeyed(
    sessions,
    { key: (session) => blockKey(session, batch), concurrencyMax: config.replayWritesMax, signal },
    async (session) => {
      const key = blockKey(session, batch)
      const bytes = Buffer.from(`${session.lines.join('\n')}\n`)
      await ports.blobs.put(key, await compress(bytes))
      return JSON.stringify(rowOf(session, { key, bytes: bytes.length, batch }))
    },
  )
  for (const [owner, text] of texts.entries()) rows.addText(owner, text)
  const refused = await writeRows(ports.warehouse, { table, writer, batch, rows }, { signal })
  return refused.flatMap(({ owner, error }) => {
    const session = sessions[owner]
    return session === undefined ? [] : [{ session, error }]
  })
}

export function blockKey(
  { teamId, sessionId }: { teamId: number; sessionId: string },
  { topic, partition, from, until }: LogBatch,
): string {
  return `replay/${teamId}/${segmentOf(sessionId)}/${topic}-${partition}-${from}-${until}.ndjson.gz`
}

/** A session id as a segment of a key: itself, or a digest where it holds other characters. */
function segmentOf(sessionId: string): string {
  if (/^[A-Za-z0-9_-]{1,100}$/.test(sessionId)) return sessionId
  return `=${createHash('sha256').update(sessionId).digest('hex')}`
}

function rowOf(session: Session, block: { key: string; bytes: number; batch: LogBatch }): object {
  const { facts } = session
  const first = clickhouseTime(facts.firstMs ?? 0)
  const last = clickhouseTime(facts.lastMs ?? 0)
  const newestMs = block.batch.records.at(-1)?.timestampMs ?? 0
  return {
    session_id: session.sessionId,
    team_id: session.teamId,
    distinct_id: session.distinctId,
    min_first_timestamp: first,
    max_last_timestamp: last,
    block_first_timestamps: [first],
    block_last_timestamps: [last],
    block_urls: [block.key],
    first_url_at:
      facts.firstUrl === undefined
        ? [neverText, '']
        : [clickhouseTime(facts.firstUrl.atMs), facts.firstUrl.url],
    all_urls: [...facts.urls],
    click_count: facts.clickCount,
    keypress_count: facts.keypressCount,
    mouse_activity_count: facts.mouseActivityCount,
    active_milliseconds: activeMsOf(facts),
    console_log_count: facts.consoleLogCount,
    console_warn_count: facts.consoleWarnCount,
    console_error_count: facts.consoleErrorCount,
    size: block.bytes,
    message_count: session.owners.length,
    event_count: facts.eventCount,
    snapshot_source_at: [first, session.source],
    snapshot_library_at: [first, session.library],
    _timestamp: Math.floor(newestMs / 1000),
  }
}
