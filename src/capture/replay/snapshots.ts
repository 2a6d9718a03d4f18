/**
 * The snapshots of a replay request as one message: PostHog's `$snapshot_items`. The first event tells whose
 * session it is; every event must bring snapshot data. The data itself goes on as the text that the client
 * sent.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import { parseUuid } from '../../std/uuid.ts'
import { parsePayload } from '../decode.ts'
import { normalizeDistinctId } from '../distinct-id.ts'
import { endOfValue, measureValue, skipSpace, visitElements, visitMembers } from '../intake/raw-json.ts'

export type ReplayRequest = {
  /** The batch's own token, if it is one with a token. */
  batchToken: string | undefined
  events: readonly ReplayEvent[]
}

export type ReplayEvent = {
  fields: Readonly<Record<string, unknown>>
  properties: Readonly<Record<string, unknown>>
  /** JSON text of `$snapshot_data`. */
  snapshotData: string | undefined
}

export type Snapshots = {
  /** In the usual form; `undefined` where the client gave none. */
  uuid: string | undefined
  distinctId: string
  sessionId: string
  isCookieless: boolean
  /** JSON text of what the message carries in `data`. */
  data: string
}

/** Deeper than this nothing is nested that a browser sends; whoever reads it later may do it recursively. */
const nestingMax = 1000
const sessionIdPattern = /^[A-Za-z0-9-]{1,70}$/

/** Takes an array of events, one event, or a batch object. Fails with `EVENT_INVALID`. */
export function parseReplay(text: string): ReplayRequest {
  const root = parsePayload(text)
  const at = skipSpace(text, 0)
  if (measureValue(text, at).nesting > nestingMax)
    throw invalid('failed to parse request: recursion limit exceeded')
  if (Array.isArray(root)) return { batchToken: undefined, events: pair(root, locateList(text, at)) }
  if (!isRecord(root)) throw invalid('failed to parse request: an event is no object')
  if (!Array.isArray(root.batch))
    return { batchToken: undefined, events: pair([root], [locateOne(text, at).found]) }
  let located: (string | undefined)[] = []
  visitMembers(text, at, (key, valueAt) => {
    if (key === 'batch') located = text[valueAt] === '[' ? locateList(text, valueAt) : []
    return undefined
  })
  return { batchToken: textOf(root.api_key) ?? textOf(root.token), events: pair(root.batch, located) }
}

/** Fails with `EVENT_INVALID`; the messages are the sentences that PostHog's clients know. */
export function collectSnapshots(events: readonly ReplayEvent[], userAgent: string | undefined): Snapshots {
  const [first] = events
  if (first === undefined) throw invalid('request holds no event')
  const { fields, properties } = first
  const uuid = readUuid(fields.uuid)
  const distinctId =
    normalizeDistinctId(fields.distinct_id ?? fields.$distinct_id) ??
    normalizeDistinctId(properties.distinct_id)
  if (distinctId === undefined) throw invalid('event submitted without a distinct_id')
  const cookieless = properties.$cookieless_mode ?? false
  if (typeof cookieless !== 'boolean') throw invalid('event submitted with an invalid $cookieless_mode')
  const sessionId = properties.$session_id ?? undefined
  if (sessionId === undefined) throw invalid('replay event submitted without session id')
  if (typeof sessionId !== 'string' || !sessionIdPattern.test(sessionId))
    throw invalid('replay event has invalid session id')
  const items = events.map(({ snapshotData }) => itemsText(snapshotData)).filter((text) => text !== '')
  const members = [
    ['distinct_id', JSON.stringify(distinctId)],
    ['$session_id', JSON.stringify(sessionId)],
    ['$window_id', JSON.stringify(properties.$window_id ?? sessionId)],
    ['$snapshot_source', JSON.stringify(properties.$snapshot_source ?? 'web')],
    ['$snapshot_items', `[${items.join(',')}]`],
    ['$lib', JSON.stringify(textOf(properties.$lib) ?? libraryOf(userAgent))],
  ]
  const inner = members.map(([key, value]) => `"${key}":${value}`).join(',')
  const data = `{"event":"$snapshot_items","properties":{${inner}}}`
  return { uuid, distinctId, sessionId, isCookieless: cookieless, data }
}

/** The elements of an array, or an object alone. */
function itemsText(data: string | undefined): string {
  if (data?.startsWith('[')) return data.slice(1, -1).trim()
  if (data?.startsWith('{')) return data
  throw invalid('replay event submitted without snapshot data')
}

/** What a PostHog SDK calls itself before the slash of its user agent; browsers are `web`. */
function libraryOf(userAgent: string | undefined): string {
  if (userAgent === undefined) return 'unknown'
  const name = userAgent.split('/')[0] ?? ''
  return name.includes('posthog') ? name : 'web'
}

function readUuid(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const uuid = typeof value === 'string' ? parseUuid(value) : undefined
  if (uuid === undefined) throw invalid('failed to parse request: invalid uuid')
  return uuid
}

function pair(values: readonly unknown[], located: readonly (string | undefined)[]): ReplayEvent[] {
  return values.map((fields, index) => {
    if (!isRecord(fields)) throw invalid('failed to parse request: an event is no object')
    const { properties } = fields
    return { fields, properties: isRecord(properties) ? properties : {}, snapshotData: located[index] }
  })
}

function locateList(text: string, at: number): (string | undefined)[] {
  const located: (string | undefined)[] = []
  visitElements(text, at, (valueAt) => {
    const { found, end } = locateOne(text, valueAt)
    located.push(found)
    return end
  })
  return located
}

/** The `$snapshot_data` in the `properties` of the event at `at`. */
function locateOne(text: string, at: number): { found: string | undefined; end: number } {
  if (text[at] !== '{') return { found: undefined, end: endOfValue(text, at) }
  let found: string | undefined
  const end = visitMembers(text, at, (key, valueAt) => {
    if (key !== 'properties' || text[valueAt] !== '{') return undefined
    found = undefined
    return visitMembers(text, valueAt, (name, start) => {
      if (name !== '$snapshot_data') return undefined
      const stop = endOfValue(text, start)
      found = text.slice(start, stop)
      return stop
    })
  })
  return { found, end }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function invalid(message: string): RowmillError {
  return new RowmillError('EVENT_INVALID', message)
}
