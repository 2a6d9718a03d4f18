/** Reads a captured replay message: PostHog's envelope around a list of rrweb events. */
import { uncompressSync } from 'lz4-napi'
import type { LogRecord } from '../../ports/log.ts'
import { isObject, parseObject } from '../parse-object.ts'

export type ReplayMessage = {
  token: string
  distinctId: string
  sessionId: string
  windowId: string
  source: string
  library: string
  items: readonly Record<string, unknown>[]
}

/** The message, or a sentence that says why it is none. */
export function readReplayMessage(record: LogRecord, options: { bytesMax: number }): ReplayMessage | string {
  const value =
    record.headers['content-encoding'] === 'lz4' ? decompress(record.value, options) : record.value
  if (typeof value === 'string') return value
  const envelope = parseObject(value)
  if (envelope === undefined) return 'The message is not a JSON object.'
  const data = typeof envelope.data === 'string' ? parseObject(Buffer.from(envelope.data)) : undefined
  const properties = data?.properties
  if (!isObject(properties)) return 'The message holds no event with properties.'
  const { $session_id: sessionId, $snapshot_items: items } = properties
  if (typeof sessionId !== 'string' || sessionId === '') return 'The event has no session id.'
  if (!Array.isArray(items)) return 'The event has no snapshot items.'
  return {
    token: textOf(envelope.token) || (record.headers.token ?? ''),
    distinctId: textOf(properties.distinct_id) || textOf(envelope.distinct_id),
    sessionId,
    windowId: textOf(properties.$window_id) || sessionId,
    source: textOf(properties.$snapshot_source) || 'web',
    library: textOf(properties.$lib) || 'unknown',
    items: items.filter(isObject),
  }
}

/** An LZ4 block after four bytes, little endian, that say how large it becomes. */
function decompress(value: Buffer, { bytesMax }: { bytesMax: number }): Buffer | string {
  if (value.length < 4) return 'The compressed message is cut off.'
  const size = value.readUInt32LE(0)
  if (size > bytesMax) return `The compressed message would become ${size} bytes.`
  try {
    return uncompressSync(value)
  } catch (error) {
    return `The compressed message is broken: ${error instanceof Error ? error.message : String(error)}`
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
