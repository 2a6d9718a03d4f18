/**
 * Follows the log where events have become ready, and where drops are written. Reads everything; shows every
 * line up to `linesPerSecondMax`, beyond it counts what it leaves out and says so each second, so that a
 * watcher never slows the pipeline and is never misled.
 */
import { topics } from '../../event/topics.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log, LogRecord } from '../../ports/log.ts'

export type TailFilter = {
  /** `*` stands for anything. */
  event: string | undefined
  distinctId: string | undefined
  properties: readonly (readonly [key: string, value: string])[]
  onlyDrops: boolean
}

export type TailLine =
  | {
      kind: 'event'
      time: string
      event: string
      distinctId: string
      uuid: string
      team: number
      summary: string
    }
  | {
      kind: 'drop'
      time: string
      event: string
      distinctId: string
      uuid: string
      reason: string
      details: string
    }
  | { kind: 'skipped'; skipped: number; linesPerSecondMax: number }

type TailLog = Pick<Log, 'describe' | 'scan' | 'offsetAt'>
type TailOptions = { sinceMs: number | undefined; linesPerSecondMax: number; signal: AbortSignal }
type Place = { topic: string; partition: number; next: number }

const pollMs = 100

export async function* tailLog(
  ports: { log: TailLog; clock: Clock },
  filter: TailFilter,
  options: TailOptions,
): AsyncGenerator<TailLine> {
  const { log, clock } = ports
  const names: readonly string[] = filter.onlyDrops ? [topics.drops] : [topics.readyEvents, topics.drops]
  const places = await openPlaces(ports, names, options.sinceMs)
  const isWanted = matcher(filter)
  let second = 0
  let shown = 0
  let skipped = 0
  while (!options.signal.aborted) {
    for (const place of places) {
      for await (const records of log.scan({
        topic: place.topic,
        partition: place.partition,
        from: place.next,
        signal: options.signal,
      })) {
        for (const record of records) {
          place.next = record.offset + 1
          const line = toLine(record, isWanted)
          if (line === undefined) continue
          const now = Math.floor(clock.monotonic() / 1000)
          if (now !== second) {
            if (skipped > 0) yield { kind: 'skipped', skipped, linesPerSecondMax: options.linesPerSecondMax }
            second = now
            shown = 0
            skipped = 0
          }
          if (shown < options.linesPerSecondMax) {
            shown += 1
            yield line
          } else skipped += 1
        }
      }
    }
    await clock.sleep(pollMs, { signal: options.signal })
    if (skipped > 0 && (options.signal.aborted || Math.floor(clock.monotonic() / 1000) !== second)) {
      yield { kind: 'skipped', skipped, linesPerSecondMax: options.linesPerSecondMax }
      skipped = 0
    }
  }
}

async function openPlaces(
  ports: { log: TailLog; clock: Clock },
  names: readonly string[],
  sinceMs: number | undefined,
): Promise<Place[]> {
  const described = (await ports.log.describe()).filter(({ name }) => names.includes(name))
  const places: Place[] = []
  for (const { name, bounds } of described)
    for (const [partition, { end }] of bounds.entries())
      places.push({
        topic: name,
        partition,
        next:
          sinceMs === undefined
            ? end
            : await ports.log.offsetAt(name, partition, ports.clock.now() - sinceMs),
      })
  return places
}

type Seen = { event: string; distinctId: string; properties: () => Record<string, unknown> }

function matcher(filter: TailFilter): (seen: Seen) => boolean {
  const isName = filter.event === undefined ? undefined : wildcard(filter.event)
  return ({ event, distinctId, properties }) =>
    (isName?.(event) ?? true) &&
    (filter.distinctId === undefined || filter.distinctId === distinctId) &&
    filter.properties.every(([key, value]) => asText(properties()[key]) === value)
}

/** Each part between the stars where it first fits, which is enough and takes one pass. */
function wildcard(pattern: string): (text: string) => boolean {
  const [start = '', ...rest] = pattern.split('*')
  const end = rest.pop()
  if (end === undefined) return (text) => text === start
  return (text) => {
    if (text.length < start.length + end.length || !text.startsWith(start) || !text.endsWith(end))
      return false
    let at = start.length
    for (const part of rest) {
      const found = text.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at <= text.length - end.length
  }
}

function asText(value: unknown): string | undefined {
  if (value === undefined) return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function toLine(record: LogRecord, isWanted: (seen: Seen) => boolean): TailLine | undefined {
  const row = parseObject(record.value.toString('utf8'))
  // Nobody but Rowmill is expected to write here; what is no row is nothing to show.
  if (row === undefined) return undefined
  const [event, distinctId, uuid] = [textOf(row.event), textOf(row.distinct_id), textOf(row.uuid)]
  let parsed: Record<string, unknown> | undefined
  const properties = (): Record<string, unknown> => {
    parsed ??= parseObject(textOf(row.properties)) ?? {}
    return parsed
  }
  if (!isWanted({ event, distinctId, properties })) return undefined
  const time = new Date(record.timestampMs).toISOString()
  if (record.topic === topics.drops)
    return {
      kind: 'drop',
      time,
      event,
      distinctId,
      uuid,
      reason: textOf(row.reason),
      details: textOf(row.details) || '{}',
    }
  return {
    kind: 'event',
    time,
    event,
    distinctId,
    uuid,
    team: Number(row.team_id),
    summary: summarise(properties()),
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

const shownProperties = ['$current_url', '$pathname', '$screen_name', '$lib'] as const

function summarise(properties: Record<string, unknown>): string {
  const known = shownProperties.flatMap((key) =>
    typeof properties[key] === 'string' ? [String(properties[key])] : [],
  )
  const own = Object.entries(properties)
    .filter(([key]) => !key.startsWith('$'))
    .slice(0, 4)
  return [...known.slice(0, 2), ...own.map(([key, value]) => `${key}=${asText(value) ?? ''}`)].join('  ')
}
