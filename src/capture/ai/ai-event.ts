/**
 * One AI event from the parts of a multipart form: `event` first, perhaps `event.properties`, then blobs named
 * `event.properties.<path>`. The blobs of an event are stored one after the other as one object; each
 * property becomes a reference to its range of bytes.
 */
import { isUtf8 } from 'node:buffer'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { measureValue, skipSpace } from '../intake/raw-json.ts'
import type { AiConfig } from './config.ts'
import type { FormPart } from './multipart.ts'
import { type PropertyPath, parsePropertyPath, setAtPath } from './property-path.ts'

export type AiFormEvent = {
  event: string
  distinctId: string
  uuid: string | undefined
  timestamp: string | undefined
  sentAt: string | undefined
  /** The event as the client sent it, its properties put together. */
  fields: Record<string, unknown>
  properties: Record<string, unknown>
  blobs: readonly { path: PropertyPath; bytes: Buffer }[]
}

/** As deep as PostHog's parser goes: whoever reads the event later may do it recursively. */
const nestingMax = 127
const blobPrefix = 'event.properties.'
const blobTypes: ReadonlySet<string> = new Set(['application/octet-stream', 'application/json', 'text/plain'])

/** Fails with `EVENT_INVALID` or `BODY_TOO_LARGE`. */
export function readAiForm(parts: readonly FormPart[], config: AiConfig): AiFormEvent {
  const [first, ...others] = parts
  if (first?.name !== 'event') throw invalid(`first part must be 'event', got '${first?.name ?? 'nothing'}'`)
  checkSizes(parts, config)
  const fields = parsePart(first, 'event')
  const separate = others.filter((part) => part.name === 'event.properties')
  if (separate.length > 1) throw invalid("duplicate part 'event.properties'")
  const [propertiesPart] = separate
  if (propertiesPart !== undefined && fields.properties !== undefined)
    throw invalid("an event cannot have both embedded properties and a part 'event.properties'")
  const properties =
    propertiesPart === undefined ? (fields.properties ?? {}) : parsePart(propertiesPart, 'event.properties')
  if (!isRecord(properties)) throw invalid('properties must be an object')
  const blobs = readBlobs(others.filter((part) => part.name !== 'event.properties'))
  return { ...checkFields(fields, properties), fields, properties, blobs }
}

function checkSizes(parts: readonly FormPart[], config: AiConfig): void {
  const sizeOf = (wanted: (name: string) => boolean) =>
    parts.filter((part) => wanted(part.name)).reduce((sum, part) => sum + part.bytes.length, 0)
  const limits = [
    ['the event part', sizeOf((name) => name === 'event'), config.eventPartBytesMax],
    [
      'event and properties',
      sizeOf((name) => name === 'event' || name === 'event.properties'),
      config.propertiesBytesMax,
    ],
    ['all parts', sizeOf(() => true), config.partsBytesMax],
  ] as const
  for (const [what, bytes, bytesMax] of limits)
    if (bytes > bytesMax)
      throw new RowmillError(
        'BODY_TOO_LARGE',
        `maximum event size exceeded: ${what}: ${bytes} bytes, at most ${bytesMax}`,
      )
}

function checkFields(fields: Record<string, unknown>, properties: Record<string, unknown>) {
  const { event, distinct_id: distinctId, uuid, timestamp, sent_at: sentAt } = fields
  if (typeof event !== 'string' || !event.startsWith('$ai_') || event === '$ai_')
    throw invalid("the event name must begin with '$ai_'")
  if (typeof distinctId !== 'string' || distinctId.trim() === '')
    throw invalid('distinct_id must be a string that is not empty')
  const model = properties.$ai_model
  if (typeof model !== 'string' || model === '')
    throw invalid("properties must hold '$ai_model', a string that is not empty")
  if (uuid !== undefined && uuid !== null && typeof uuid !== 'string') throw invalid('uuid must be a string')
  return {
    event: event.toWellFormed(),
    distinctId,
    uuid: uuid ?? undefined,
    timestamp: typeof timestamp === 'string' ? timestamp : undefined,
    sentAt: typeof sentAt === 'string' ? sentAt : undefined,
  }
}

function readBlobs(parts: readonly FormPart[]): AiFormEvent['blobs'] {
  const seen = new Set<string>()
  return parts.map((part) => {
    if (!part.name.startsWith(blobPrefix))
      throw invalid(
        `unknown part '${part.name}': expected 'event', 'event.properties' or 'event.properties.<name>'`,
      )
    if (seen.has(part.name)) throw invalid(`duplicate blob property: ${part.name}`)
    seen.add(part.name)
    const path = parsePropertyPath(part.name.slice(blobPrefix.length))
    if (path === undefined) throw invalid(`'${part.name}' is no path to a property`)
    const type = part.contentType?.split(';')[0]?.trim().toLowerCase()
    if (type === undefined || !blobTypes.has(type))
      throw invalid(`blob part '${part.name}' needs a Content-Type of ${[...blobTypes].join(', ')}`)
    if (part.bytes.length === 0) throw invalid(`blob part '${part.name}' is empty`)
    return { path, bytes: part.bytes }
  })
}

/** Puts a reference in the place of each blob. `base` is where the object that holds them all is found. */
export function placeBlobs(event: AiFormEvent, base: string): void {
  let from = 0
  for (const { path, bytes } of event.blobs) {
    setAtPath(event.properties, path, `${base}?range=${from}-${from + bytes.length - 1}`)
    from += bytes.length
  }
}

function parsePart(part: FormPart, name: string): Record<string, unknown> {
  if (!isUtf8(part.bytes)) throw invalid(`part '${name}' must be UTF-8`)
  const text = part.bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid(`part '${name}' must be JSON`)
  }
  if (measureValue(text, skipSpace(text, 0)).nesting > nestingMax)
    throw invalid(`part '${name}' is nested too deeply`)
  if (!isRecord(value)) throw invalid(`part '${name}' must be a JSON object`)
  return value
}

function invalid(message: string): RowmillError {
  return new RowmillError('EVENT_INVALID', `failed to parse request: ${message}`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
