import { isRecord, isSameJson, ownValue, type Properties } from '../entities/jsonb.ts'
import type { PersonEvent } from './person-event.ts'

/** Events of other pipelines: their order against a person's other events is not known. */
const eventsWithoutUpdate: ReadonlySet<string> = new Set(['$exception', '$$heatmap'])
/** Events about a person: whatever they change is written. */
const personEvents: ReadonlySet<string> = new Set([
  '$identify',
  '$create_alias',
  '$merge_dangerously',
  '$set',
])

/** Deeper values are left out of persons and groups: PostgreSQL could not parse them back. */
const propertyDepthMax = 128

export type PropertyUpdate = {
  /** The changed properties, or the same object if nothing changes. */
  properties: Properties
  /** Keys that were set or unset. */
  keys: readonly string[]
  isForced: boolean
}

/** Applies an event's `$set`, `$set_once` and `$unset` to a person's properties, by PostHog's rules. */
export function updateProperties(event: PersonEvent, current: Properties): PropertyUpdate {
  if (eventsWithoutUpdate.has(event.event)) return { properties: current, keys: [], isForced: false }
  const changes = new Map<string, unknown>()
  eachStorable(event.properties.$set_once, (key, value) => {
    const known = ownValue(current, key)
    if (known === undefined || (known === null && value !== null)) changes.set(key, value)
  })
  if (event.event === 'survey shown') noteSurvey(event, current, changes)
  eachStorable(event.properties.$set, (key, value) => {
    if (!isSameJson(ownValue(current, key), value)) changes.set(key, value)
  })
  const unset = unsetKeys(event.properties.$unset).filter((key) => Object.hasOwn(current, key))
  if (changes.size === 0 && unset.length === 0) return { properties: current, keys: [], isForced: false }
  const properties: Record<string, unknown> = { ...current }
  for (const [key, value] of changes) properties[key] = value
  for (const key of unset) delete properties[key]
  return { properties, keys: [...changes.keys(), ...unset], isForced: personEvents.has(event.event) }
}

/** A new person's properties: what the event sets, and which event that was. */
export function initialProperties(event: PersonEvent): Properties {
  const properties: Record<string, unknown> = {}
  const put = (key: string, value: unknown): void => {
    properties[key] = value
  }
  eachStorable(event.properties.$set_once, put)
  eachStorable(event.properties.$set, put)
  properties.$creator_event_uuid = event.uuid
  return properties
}

/** What the event's row shows: the person, and what the event itself sets even if that was not stored. */
export function shownProperties(event: PersonEvent, stored: Properties): Properties {
  const set = event.properties.$set
  if (!isRecord(set)) return stored
  const isShown = Object.keys(set).every((key) => isSameJson(ownValue(stored, key), set[key]))
  return isShown ? stored : { ...stored, ...set }
}

/** The entries of a property object that can be stored; none if it is no object. */
export function storableEntries(value: unknown): [string, unknown][] {
  const entries: [string, unknown][] = []
  eachStorable(value, (key, inner) => entries.push([key, inner]))
  return entries
}

/** The same without a list: this runs for every event. */
function eachStorable(value: unknown, use: (key: string, inner: unknown) => void): void {
  if (!isRecord(value)) return
  for (const key of Object.keys(value)) {
    const inner = value[key]
    if (key !== '__proto__' && inner !== undefined && isShallow(inner, propertyDepthMax)) use(key, inner)
  }
}

function unsetKeys(value: unknown): string[] {
  if (Array.isArray(value)) return value.filter((key) => typeof key === 'string')
  return isRecord(value) ? Object.keys(value) : []
}

/** PostHog notes on the person when a survey was last shown to it. */
function noteSurvey(event: PersonEvent, current: Properties, changes: Map<string, unknown>): void {
  const shownAt = new Date(event.timestampMs).toISOString()
  if (ownValue(current, '$survey_last_seen_date') !== shownAt) changes.set('$survey_last_seen_date', shownAt)
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1))
}
