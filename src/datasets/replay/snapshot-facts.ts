/**
 * What a list of rrweb events tells about a session, counted the way PostHog's recording tables count it.
 * Numbers of kinds and sources are rrweb's.
 */
import { isObject } from '../parse-object.ts'

export type SnapshotFacts = {
  /** ms since the epoch; `undefined` where no event has a usable time. */
  firstMs: number | undefined
  lastMs: number | undefined
  /** In the order of their first appearance. */
  urls: Set<string>
  /** The earliest address and its time. */
  firstUrl: { url: string; atMs: number } | undefined
  clickCount: number
  keypressCount: number
  mouseActivityCount: number
  consoleLogCount: number
  consoleWarnCount: number
  consoleErrorCount: number
  eventCount: number
  /** Times of what a person did, in the order of arrival. */
  activityMs: number[]
}

const kinds = { incremental: 3, meta: 4, custom: 5, plugin: 6 } as const
const sources = { mouseMove: 1, mouseInteraction: 2, input: 5, touchMove: 6 } as const
const click = 2
/** Moves, clicks, scrolling, resizing, typing, touching, media and dragging: somebody is there. */
const activitySources: ReadonlySet<unknown> = new Set([1, 2, 3, 4, 5, 6, 7, 12])
const mouseSources: ReadonlySet<unknown> = new Set([
  sources.mouseMove,
  sources.mouseInteraction,
  sources.touchMove,
])

/** Two acts further apart than this have a pause between them. */
const pauseMs = 5000
const urlLengthMax = 4096
/** The year 2100: what lies beyond is a broken clock, and beyond what the table can hold. */
const timeMsMax = 4_102_444_800_000

export function createSnapshotFacts(): SnapshotFacts {
  return {
    firstMs: undefined,
    lastMs: undefined,
    urls: new Set(),
    firstUrl: undefined,
    clickCount: 0,
    keypressCount: 0,
    mouseActivityCount: 0,
    consoleLogCount: 0,
    consoleWarnCount: 0,
    consoleErrorCount: 0,
    eventCount: 0,
    activityMs: [],
  }
}

/** Counts one event; says whether it has a usable time, without which it is not counted. */
export function addSnapshot(
  facts: SnapshotFacts,
  event: Readonly<Record<string, unknown>>,
  { urlsMax }: { urlsMax: number },
): boolean {
  const { timestamp, type, data } = event
  if (typeof timestamp !== 'number' || !(timestamp > 0 && timestamp < timeMsMax)) return false
  const atMs = timestamp
  facts.eventCount++
  facts.firstMs = Math.min(facts.firstMs ?? atMs, atMs)
  facts.lastMs = Math.max(facts.lastMs ?? atMs, atMs)
  if (!isObject(data)) return true
  if (type === kinds.incremental) addIncremental(facts, data, atMs)
  else if (type === kinds.meta) addUrl(facts, data.href, { atMs, urlsMax })
  else if (type === kinds.custom && isObject(data.payload))
    addUrl(facts, data.payload.href, { atMs, urlsMax })
  else if (type === kinds.plugin && data.plugin === 'rrweb/console@1') addConsole(facts, data.payload)
  return true
}

function addIncremental(facts: SnapshotFacts, data: Record<string, unknown>, atMs: number): void {
  const { source, type } = data
  if (activitySources.has(source)) facts.activityMs.push(atMs)
  if (mouseSources.has(source)) facts.mouseActivityCount++
  if (source === sources.mouseInteraction && type === click) facts.clickCount++
  if (source === sources.input) facts.keypressCount++
}

function addUrl(facts: SnapshotFacts, href: unknown, at: { atMs: number; urlsMax: number }): void {
  if (typeof href !== 'string' || href === '') return
  const url = href.slice(0, urlLengthMax)
  if (facts.firstUrl === undefined || at.atMs < facts.firstUrl.atMs) facts.firstUrl = { url, atMs: at.atMs }
  if (facts.urls.size < at.urlsMax) facts.urls.add(url)
}

function addConsole(facts: SnapshotFacts, payload: unknown): void {
  const level = isObject(payload) ? payload.level : undefined
  if (level === 'warn') facts.consoleWarnCount++
  else if (level === 'error' || level === 'assert') facts.consoleErrorCount++
  else facts.consoleLogCount++
}

/** Time in which somebody was there: the gaps between acts that are no pauses. */
export function activeMsOf({ activityMs }: SnapshotFacts): number {
  const times = activityMs.toSorted((a, b) => a - b)
  let active = 0
  for (const [index, time] of times.entries()) {
    const gap = time - (times[index - 1] ?? time)
    if (gap <= pauseMs) active += gap
  }
  return Math.round(active)
}
