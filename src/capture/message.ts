/**
 * Writes a captured event as the record that stands on the log: PostHog's message and headers, byte for byte
 * where it matters (key order, absent optionals left out, headers always there and null where unknown). The text
 * is put together by hand: most of it is constant or known to need no escaping, and what an event carries is
 * escaped once.
 */
import type { HeaderValue } from '../event/headers.ts'
import { topics } from '../event/topics.ts'
import type { NewRecord } from '../ports/log.ts'
import type { EscapedJson, RoutedEvent } from './captured-event.ts'
import { formatInstant } from './timestamp.ts'

export function toRecord(routed: RoutedEvent): NewRecord {
  const { event, topic } = routed
  const now = formatNow(event.nowMs)
  const isHistorical =
    topic === topics.historical ||
    (event.isHistorical && event.kind === 'analytics' && topic !== topics.captured)
  const head = `{"uuid":"${event.uuid}","distinct_id":${quote(event.distinctId)},"ip":${quoteIp(event.ip)},"data":`
  let tail = `,"now":"${now}"`
  if (event.sentAt !== undefined) tail += `,"sent_at":${quote(event.sentAt)}`
  tail += `,"token":${quoteToken(event.token)},"event":${quoteName(event.event)},"timestamp":"${formatInstant(event.timestampMs)}"`
  if (event.isCookieless) tail += ',"is_cookieless_mode":true'
  tail += isHistorical ? ',"historical_migration":true}' : '}'
  const headers: Record<string, HeaderValue> = {
    token: event.token,
    distinct_id: event.distinctId,
    session_id: event.sessionId,
    timestamp: String(event.timestampMs),
    event: event.event,
    uuid: event.uuid,
    now,
    force_disable_person_processing: event.isPersonProcessingOff ? 'true' : null,
    historical_migration: isHistorical ? 'true' : null,
  }
  if (event.isHeatmapSplit) headers.skip_heatmap_processing = 'true'
  for (const name in routed.headers) headers[name] = routed.headers[name] ?? null
  return {
    topic,
    key: routed.key,
    value:
      typeof event.data === 'string' ? writeValue(head, event.data, tail) : joinValue(head, event.data, tail),
    headers,
    timestampMs: event.nowMs,
  }
}

let lastNowMs = Number.NaN
let lastNow = ''

/** The events of a request share their `now`. */
function formatNow(ms: number): string {
  if (ms !== lastNowMs) {
    lastNow = formatInstant(ms)
    lastNowMs = ms
  }
  return lastNow
}

const quoteToken = createLastQuoted()
const quoteIp = createLastQuoted()
const quoteName = createLastQuoted()

const scratchBytesMin = 65_536
/** The bytes that stand between the texts and their own buffer; it grows to the largest message. */
let scratch: Buffer = Buffer.alloc(0)

/**
 * The three texts as UTF-8, the middle one as a JSON string. The middle one is encoded behind its place and escaped
 * byte by byte towards it: the write never overtakes the read, because a byte becomes two at most. What has to
 * be escaped otherwise (control characters) takes the plain way. Half a character becomes U+FFFD.
 */
function writeValue(head: string, data: string, tail: string): Buffer {
  // A UTF-16 unit is at most three bytes of UTF-8.
  const bytesMax = (head.length + tail.length) * 3 + data.length * 6 + 2
  if (scratch.length < bytesMax) scratch = Buffer.allocUnsafeSlow(Math.max(bytesMax, scratchBytesMin))
  const out: Uint8Array = scratch
  let at = scratch.write(head)
  out[at++] = 34
  const from = at + data.length * 3
  const until = from + scratch.write(data, from)
  for (let index = from; index < until; index++) {
    const byte = out[index] ?? 0
    if (byte < 32) return Buffer.from(head + quote(data.toWellFormed()) + tail)
    if (byte === 34 || byte === 92) out[at++] = 92
    out[at++] = byte
  }
  out[at++] = 34
  at += scratch.write(tail, at)
  return takeFromScratch(at)
}

const slabBytes = 65_536
/** Values are cut from it one after the other; it goes when the last of them has been written. */
let slab: Buffer = Buffer.alloc(0)
let slabAt = 0

/** A copy of the first bytes of the scratch buffer. */
function takeFromScratch(length: number): Buffer {
  if (length * 4 > slabBytes) return Buffer.from(scratch.subarray(0, length))
  if (slabAt + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes)
    slabAt = 0
  }
  const value = slab.subarray(slabAt, slabAt + length)
  scratch.copy(value, 0, 0, length)
  slabAt += length
  return value
}

/** The same of data that is escaped already. */
function joinValue(head: string, data: EscapedJson, tail: string): Buffer {
  const bytesMax = (head.length + tail.length) * 3 + data.until - data.from + 2
  if (scratch.length < bytesMax) scratch = Buffer.allocUnsafeSlow(Math.max(bytesMax, scratchBytesMin))
  let at = scratch.write(head)
  scratch[at++] = 34
  at += data.bytes.copy(scratch, at, data.from, data.until)
  scratch[at++] = 34
  at += scratch.write(tail, at)
  return takeFromScratch(at)
}

function quote(text: string): string {
  return JSON.stringify(text)
}

/** Quotes a text that is most often the same as the last one. */
function createLastQuoted(): (text: string) => string {
  let last = ''
  let quoted = '""'
  return (text) => {
    if (text !== last) {
      quoted = quote(text)
      last = text
    }
    return quoted
  }
}
