/**
 * How alike two events with the same id are: what a person needs who asks why an event was dropped as a
 * duplicate. The idea is PostHog's kafka-deduplicator: fields and properties are compared, and a verdict, a
 * similarity and the names of what differs come out. Unlike there, properties count towards the verdict,
 * a timestamp that cannot be parsed is compared as text, and values of different JSON types differ.
 */
import { isDeepStrictEqual } from 'node:util'

export type ComparableEvent = {
  uuid?: unknown
  event?: unknown
  distinct_id?: unknown
  token?: unknown
  timestamp?: unknown
  properties?: Readonly<Record<string, unknown>>
}

export type Comparison = {
  verdict: 'same_event' | 'only_uuid_differs' | 'only_time_differs' | 'different_event'
  /** 1 where nothing differs: the mean over the five fields and the share of equal properties. */
  similarity: number
  differing: string[]
  /** Names only, sorted, at most `differingPropertiesMax`. */
  differingProperties: string[]
}

export const differingPropertiesMax = 50

export function compareEvents(first: ComparableEvent, second: ComparableEvent): Comparison {
  const isEqual = {
    uuid: uuidForm(first.uuid) === uuidForm(second.uuid),
    event: isDeepStrictEqual(first.event, second.event),
    distinct_id: isDeepStrictEqual(first.distinct_id, second.distinct_id),
    token: isDeepStrictEqual(first.token, second.token),
    timestamp: sameTime(first.timestamp, second.timestamp),
  }
  const differing = Object.entries(isEqual).flatMap(([field, equal]) => (equal ? [] : [field]))
  const properties = compareProperties(first.properties ?? {}, second.properties ?? {})
  const fields = Object.keys(isEqual).length
  const similarity = (fields - differing.length + properties.similarity) / (fields + 1)
  return {
    verdict: verdictOf(differing, properties.differing.length),
    similarity: Math.round(similarity * 1000) / 1000,
    differing,
    differingProperties: properties.differing.slice(0, differingPropertiesMax),
  }
}

function verdictOf(differing: readonly string[], properties: number): Comparison['verdict'] {
  if (properties > 0) return 'different_event'
  if (differing.length === 0) return 'same_event'
  if (differing.length > 1) return 'different_event'
  if (differing[0] === 'uuid') return 'only_uuid_differs'
  return differing[0] === 'timestamp' ? 'only_time_differs' : 'different_event'
}

function compareProperties(
  first: Readonly<Record<string, unknown>>,
  second: Readonly<Record<string, unknown>>,
): { similarity: number; differing: string[] } {
  const names = new Set([...Object.keys(first), ...Object.keys(second)])
  const differing = [...names].filter(
    (name) =>
      Object.hasOwn(first, name) !== Object.hasOwn(second, name) ||
      !isDeepStrictEqual(first[name], second[name]),
  )
  const similarity = names.size === 0 ? 1 : (names.size - differing.length) / names.size
  return { similarity, differing: differing.sort() }
}

/** Two ways to write one moment are the same; what is no time is compared as it stands. */
function sameTime(first: unknown, second: unknown): boolean {
  if (isDeepStrictEqual(first, second)) return true
  if (typeof first !== 'string' || typeof second !== 'string') return false
  const firstMs = Date.parse(first)
  return !Number.isNaN(firstMs) && firstMs === Date.parse(second)
}

function uuidForm(uuid: unknown): string {
  if (typeof uuid !== 'string') return `${typeof uuid}:${JSON.stringify(uuid)}`
  const digits = uuid.toLowerCase().replace(/^urn:uuid:|[{}-]/g, '')
  return /^[0-9a-f]{32}$/.test(digits) ? digits : `text:${uuid}`
}
