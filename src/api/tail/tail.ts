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
    if (skipped > 0 && Math.floor(clock.monotonic() / 1000) !== second) {
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
  const parts = filter.event?.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const name = parts === undefined ? undefined : new RegExp(`^${parts.join('.*')}$`, 's')
  return ({ event, distinctId, properties }) =>
    (name === undefined || name.test(event)) &&
    (filter.distinctId === undefined || filter.distinctId === distinctId) &&
    filter.properties.every(([key, value]) => asText(properties()[key]) === value)
}

function asText(value: unknown): string | undefined {
  if (value === undefined) return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function toLine(record: LogRecord, isWanted: (seen: Seen) => boolean): TailLine | undefined {
  const row = JSON.parse(record.value.toString('utf8')) as Record<string, string>
  const { event = '', distinct_id: distinctId = '', uuid = '' } = row
  const properties = (): Record<string, unknown> =>
    JSON.parse(row.properties ?? '{}') as Record<string, unknown>
  if (!isWanted({ event, distinctId, properties })) return undefined
  const time = new Date(record.timestampMs).toISOString()
  if (record.topic === topics.drops)
    return {
      kind: 'drop',
      time,
      event,
      distinctId,
      uuid,
      reason: row.reason ?? '',
      details: row.details ?? '{}',
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
