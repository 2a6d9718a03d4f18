/**
 * Where an event goes on the log. Of several claims the first wins: dead letters, a topic of the operator's
 * choice, historical, overflow, main. The key keeps a person's events in order; it is given up only where
 * that order no longer matters, because person processing is off, or where overflow spreads a hot key.
 */
import { topics } from '../../event/topics.ts'
import type { CapturedEvent } from '../captured-event.ts'

export type AddressClaims = {
  deadLetters: boolean
  topic: string | undefined
  historical: boolean
  overflow: 'none' | 'keep-key' | 'spread'
}

export type Address = { topic: string; key: string | null }

/** `token:distinct_id`, or `token:ip` for a cookieless event, whose distinct id says nothing yet. */
export function eventKey(event: Pick<CapturedEvent, 'token' | 'distinctId' | 'ip' | 'isCookieless'>): string {
  return `${event.token}:${event.isCookieless ? event.ip : event.distinctId}`
}

/** `aiOverflowTopic` is empty where AI events never overflow. */
export function addressOf(event: CapturedEvent, claims: AddressClaims, aiOverflowTopic: string): Address {
  const key = eventKey(event)
  if (claims.deadLetters) return { topic: topics.deadLetters, key }
  if (claims.topic !== undefined) return { topic: claims.topic, key }
  const overflows = claims.overflow !== 'none'
  switch (event.kind) {
    case 'analytics': {
      if (claims.historical) return { topic: topics.historical, key }
      const isSpread = event.isPersonProcessingOff || claims.overflow === 'spread'
      return { topic: overflows ? topics.overflow : topics.captured, key: isSpread ? null : key }
    }
    case 'ai':
      if (!overflows || aiOverflowTopic === '') return { topic: topics.ai, key }
      return { topic: aiOverflowTopic, key: claims.overflow === 'spread' ? null : key }
    case 'exception':
      return { topic: topics.exceptions, key }
    case 'heatmap':
      return { topic: topics.heatmaps, key }
    case 'client-warning':
      return { topic: topics.clientWarnings, key }
    case 'replay':
      return { topic: overflows ? topics.replayOverflow : topics.replay, key: event.sessionId }
  }
}
