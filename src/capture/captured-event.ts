/**
 * One event as capture knows it after decoding, whatever route it came by: everything that the message on
 * the log is made of, and nothing else. `admission/` decides where it goes, `message.ts` writes the record.
 */
export type CapturedEvent = {
  uuid: string
  /** Normalised: text, at most 200 code points (v0). */
  distinctId: string
  event: string
  token: string
  ip: string
  /** When capture received the request, ms since the epoch. */
  nowMs: number
  /** ISO text as it goes into the message, if the client said it. */
  sentAt: string | undefined
  /** The event's computed time, ms since the epoch. */
  timestampMs: number
  /** The raw event: what the message carries in `data`. */
  data: EventData
  sessionId: string | null
  kind: CapturedKind
  isCookieless: boolean
  /** The batch was marked as a historical migration. */
  isHistorical: boolean
  /** Person processing is off, by the caller (illegal id) or by admission (limits). */
  isPersonProcessingOff: boolean
  /** A heatmap was split off from it, so ingest must not look again. */
  isHeatmapSplit: boolean
  /** The AI gateway has signed it: it does not count for the quota of AI events. */
  isGatewayVerified?: true
}

/** JSON text, or the same as it stands inside the message. */
export type EventData = string | EscapedJson

/** JSON in UTF-8 with its quotes and backslashes escaped once more; it has no control characters. */
export type EscapedJson = { bytes: Buffer; from: number; until: number }

/** The JSON text of an event. */
export function dataText(data: EventData): string {
  if (typeof data === 'string') return data
  return String(JSON.parse(`"${data.bytes.toString('utf8', data.from, data.until)}"`))
}

/** How long that text is in UTF-8. */
export function dataLength(data: EventData): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  let length = 0
  for (let at = data.from; at < data.until; at++) {
    if (data.bytes[at] === 92) at++
    length++
  }
  return length
}

/** Which stream it belongs to, decided by its name alone. */
export type CapturedKind = 'analytics' | 'ai' | 'exception' | 'heatmap' | 'client-warning' | 'replay'

/** An event with its address on the log. */
export type RoutedEvent = {
  event: CapturedEvent
  topic: string
  /** `null` spreads it over all partitions. */
  key: string | null
  /** More headers than `CapturedEvent` tells: dead-letter reason and the like. */
  headers: Readonly<Record<string, string>>
}
