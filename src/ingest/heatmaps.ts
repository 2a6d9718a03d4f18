import { clickhouseTime } from '../std/time.ts'
import { isRecord } from './entities/jsonb.ts'
import type { IncomingEvent } from './incoming-event.ts'
import { isIllegalId } from './persons/mergeable-id.ts'
import type { EventWarning } from './warnings/register.ts'

/**
 * Heatmap rows from an event's `$heatmap_data`, a list of points per address, and from how far the page before
 * was scrolled. Coordinates are kept in cells of 16 pixels, as PostHog's table has them.
 */
export type HeatmapRow = {
  type: string
  x: number
  y: number
  pointer_target_fixed: boolean
  viewport_height: number
  viewport_width: number
  current_url: string
  session_id: string
  scale_factor: number
  timestamp: string
  team_id: number
  distinct_id: string
}

export type HeatmapReading = {
  rows: readonly HeatmapRow[]
  warnings: readonly EventWarning[]
  /** Why there is data but no row could be made of it. */
  problem: string | undefined
}

const scaleFactor = 16
/** The table's columns are 16 bits wide. */
const cellMax = 32_767

/** Whether an event has anything for a heatmap. */
export function hasHeatmapData(properties: IncomingEvent['properties']): boolean {
  return Boolean(properties.$heatmap_data) || hasScrollDepth(properties)
}

/** Pure; the event keeps its properties. */
export function readHeatmap(event: IncomingEvent): HeatmapReading {
  const { properties } = event
  const { $viewport_height: height, $viewport_width: width, $session_id: session } = properties
  const warnings: EventWarning[] = []
  const warn = (type: EventWarning['type'], heatmapUrl?: string) =>
    warnings.push({
      type,
      details: {
        eventUuid: event.uuid,
        ...(heatmapUrl === undefined ? {} : { heatmapUrl, session_id: session }),
      },
      key: typeof session === 'string' ? session.slice(0, 100) : undefined,
    })
  const none = (problem: string) => ({ rows: [], warnings, problem })
  const lists = heatmapLists(properties)
  if (lists === undefined) {
    warn('invalid_heatmap_data')
    return none('the heatmap data or the address of the page before cannot be read')
  }
  if (lists.length === 0) return { rows: [], warnings, problem: undefined }
  if (isIllegalId(event.distinctId)) return none('the distinct id stands for nobody')
  if (!isNumber(height) || !isNumber(width)) return none('the size of the viewport is missing')
  const common = {
    viewport_height: cell(height),
    viewport_width: cell(width),
    session_id: typeof session === 'string' ? session.toWellFormed() : '',
    scale_factor: scaleFactor,
    timestamp: clickhouseTime(event.timeMs),
    team_id: event.team.id,
    distinct_id: event.distinctId,
  }
  const rows: HeatmapRow[] = []
  for (const [url, points] of lists) {
    if (url.trim() === '') warn('rejecting_heatmap_data_with_invalid_url', url)
    else if (!Array.isArray(points)) warn('rejecting_heatmap_data_with_invalid_items', url)
    else
      for (const point of points) {
        const place = readPoint(point)
        if (place !== undefined) rows.push({ ...place, current_url: url.toWellFormed(), ...common })
      }
  }
  return { rows, warnings, problem: undefined }
}

/** The lists of points by address, the scroll depth among them. Undefined if they cannot be read. */
function heatmapLists(properties: IncomingEvent['properties']): [string, unknown][] | undefined {
  const { $heatmap_data: data, $current_url: url, $prev_pageview_pathname: path } = properties
  if (data && !isRecord(data)) return undefined
  const lists: [string, unknown][] = isRecord(data) ? Object.entries(data) : []
  if (!hasScrollDepth(properties)) return lists
  const previous = typeof url === 'string' && typeof path === 'string' ? withPath(url, path) : undefined
  if (previous === undefined) return undefined
  const depth = { x: 0, y: properties.$prev_pageview_max_scroll, target_fixed: false, type: 'scrolldepth' }
  const known = lists.find(([address]) => address === previous)
  if (known === undefined) lists.push([previous, [depth]])
  else if (Array.isArray(known[1])) known[1] = [...known[1], depth]
  return lists
}

function hasScrollDepth(properties: IncomingEvent['properties']): boolean {
  return Boolean(properties.$prev_pageview_pathname) && Boolean(properties.$current_url)
}

function withPath(url: string, path: string): string | undefined {
  const parsed = URL.parse(url)
  if (parsed === null) return undefined
  parsed.pathname = path
  return parsed.toString()
}

function readPoint(
  point: unknown,
): Pick<HeatmapRow, 'type' | 'x' | 'y' | 'pointer_target_fixed'> | undefined {
  if (!isRecord(point)) return undefined
  const { x, y, type, target_fixed: isFixed } = point
  if (!isNumber(x) || !isNumber(y) || typeof isFixed !== 'boolean') return undefined
  if (typeof type !== 'string' || type.trim() === '') return undefined
  return { type: type.toWellFormed(), x: cell(x), y: cell(y), pointer_target_fixed: isFixed }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function cell(pixels: number): number {
  return Math.max(-cellMax, Math.min(cellMax, Math.round(pixels / scaleFactor)))
}
