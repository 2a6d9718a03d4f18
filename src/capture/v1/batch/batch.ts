/** Understands the body of a v1 request: what it says as a whole, and its events with their raw properties. */
import { isUtf8 } from 'node:buffer'
import { endOfValue, measureValue, skipSpace, visitElements, visitMembers } from '../../intake/raw-json.ts'
import { V1Error } from '../error.ts'
import { parseRfc3339 } from './rfc3339.ts'

export type V1Batch = {
  isHistorical: boolean
  isInternal: boolean
  events: readonly V1RawEvent[]
}

/** An event as it came: fields not yet judged, properties as JSON text (`{}` where there are none). */
export type V1RawEvent = {
  fields: Readonly<Record<string, unknown>>
  properties: string
  /** How many arrays and objects stand inside one another in the properties. */
  nesting: number
}

/** Throws a `V1Error` when the body as a whole is no batch. */
export function parseBatch(payload: Buffer): V1Batch {
  if (payload.length === 0) throw new V1Error('empty_body', 'request body is empty')
  const text = readText(payload)
  const root = parseJson(text)
  if (!isRecord(root)) throw unparsable('it is not an object')
  const { created_at: createdAt, batch, historical_migration: historical, capture_internal: internal } = root
  if (typeof createdAt !== 'string') throw unparsable('created_at is missing or no string')
  if (!Array.isArray(batch)) throw unparsable('batch is missing or no array')
  if (historical !== undefined && typeof historical !== 'boolean')
    throw unparsable('historical_migration is no boolean')
  if (internal !== undefined && internal !== null && typeof internal !== 'boolean')
    throw unparsable('capture_internal is no boolean')
  if (batch.length === 0) throw new V1Error('empty_batch', 'request batch is empty')
  if (parseRfc3339(createdAt) === undefined)
    throw new V1Error(
      'invalid_batch',
      `invalid batch: created_at is not an RFC 3339 time: ${createdAt.slice(0, 100)}`,
    )
  const items: readonly unknown[] = batch
  const properties = rawProperties(text)
  return {
    isHistorical: historical === true,
    isInternal: internal === true,
    events: items.map((fields, index) => {
      if (!isRecord(fields)) throw unparsable(`event ${index} is no object`)
      return { fields, ...(properties[index] ?? { properties: '{}', nesting: 1 }) }
    }),
  }
}

type RawProperties = Pick<V1RawEvent, 'properties' | 'nesting'>

/** The raw `properties` of each element of `batch`. */
function rawProperties(text: string): (RawProperties | undefined)[] {
  let found: (RawProperties | undefined)[] = []
  visitMembers(text, skipSpace(text, 0), (key, valueAt) => {
    if (key !== 'batch' || text[valueAt] !== '[') return undefined
    found = []
    return visitElements(text, valueAt, (at) => {
      if (text[at] !== '{') {
        found.push(undefined)
        return endOfValue(text, at)
      }
      let properties: RawProperties | undefined
      const end = visitMembers(text, at, (name, start) => {
        if (name !== 'properties') return undefined
        const { end: stop, nesting } = measureValue(text, start)
        properties = { properties: text.slice(start, stop), nesting }
        return stop
      })
      found.push(properties)
      return end
    })
  })
  return found
}

function readText(payload: Buffer): string {
  if (!isUtf8(payload)) throw unparsable('it is not UTF-8')
  return payload.toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new V1Error('request_parsing_error', 'Failed to parse request body: it is not JSON.', { cause })
  }
}

function unparsable(why: string): V1Error {
  return new V1Error('request_parsing_error', `Failed to parse request body: ${why}.`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
