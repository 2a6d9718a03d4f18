/**
 * Calendar days as people in their time zone see them.
 *
 * A zone is an IANA name. Names come from browsers and may be anything, so every question takes a list of
 * names to try in order; UTC is the last resort.
 */
export interface Calendar {
  /** The day as `YYYY-MM-DD`. */
  dayOf(timestampMs: number, zones: readonly (string | undefined)[]): string
  /** When that day began there, ms since the epoch. */
  startOfDay(timestampMs: number, zones: readonly (string | undefined)[]): number
}

/** With the offsets that were looked up, by the quarter of an hour: clocks change only between two of them. */
type Zone = { format: Intl.DateTimeFormat; offsets: Map<number, number> }

const hourMs = 3_600_000
/** Local time runs ahead of UTC by up to 14 hours, and behind it by up to 12. */
export const zoneAheadMs = 14 * hourMs
export const zoneBehindMs = 12 * hourMs
/** The world has some 600 names; what browsers invent beyond that is not remembered. */
const zonesMax = 1000
const offsetsMax = 500
const quarterMs = hourMs / 4

export function createCalendar(): Calendar {
  const zones = new Map<string, Zone | undefined>()
  const find = (names: readonly (string | undefined)[]): Zone => {
    for (const name of names) {
      if (name === undefined || name === '') continue
      const zone = zones.has(name) ? zones.get(name) : openZone(name)
      if (zones.size < zonesMax) zones.set(name, zone)
      if (zone !== undefined) return zone
    }
    return find(['UTC'])
  }
  return {
    dayOf: (timestampMs, names) => dayText(localTime(find(names), timestampMs)),
    startOfDay(timestampMs, names) {
      const zone = find(names)
      const localMs = localTime(zone, timestampMs)
      const localStart = localMs - modulo(localMs, 24 * hourMs)
      // The offset at the day's start may be another than now: two looks settle it, a clock change included.
      let startMs = localStart
      for (let look = 0; look < 2; look++) startMs = localStart - (localTime(zone, startMs) - startMs)
      return startMs
    },
  }
}

/** Whether it can be this day anywhere now, or could have been within `lagMs`. `day` is `YYYY-MM-DD`. */
export function isDayAccepted(day: string, nowMs: number, lagMs: number): boolean {
  const startMs = Date.parse(`${day}T00:00:00Z`)
  return nowMs >= startMs - zoneAheadMs && nowMs < startMs + 24 * hourMs + zoneBehindMs + lagMs
}

function openZone(name: string): Zone | undefined {
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    return { format, offsets: new Map() }
  } catch (error) {
    // RangeError: not a zone. The next name is tried.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** The wall clock's reading there, as if it were UTC. */
function localTime(zone: Zone, timestampMs: number): number {
  const quarter = Math.floor(timestampMs / quarterMs)
  let offset = zone.offsets.get(quarter)
  if (offset === undefined) {
    offset = readClock(zone, quarter * quarterMs) - quarter * quarterMs
    if (zone.offsets.size >= offsetsMax) zone.offsets.clear()
    zone.offsets.set(quarter, offset)
  }
  return timestampMs + offset
}

function readClock(zone: Zone, timestampMs: number): number {
  const parts = new Map<string, number>()
  for (const { type, value } of zone.format.formatToParts(timestampMs)) parts.set(type, Number(value))
  const part = (name: string) => parts.get(name) ?? 0
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
}

function dayText(localMs: number): string {
  return new Date(localMs).toISOString().slice(0, 10)
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by
}
