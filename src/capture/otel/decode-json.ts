/**
 * Reads an `ExportTraceServiceRequest` in JSON. As the protobuf JSON mapping asks: names in camel case (snake
 * case is taken too), 64-bit integers as text or numbers, null like absent; as OTLP asks: ids in hexadecimal.
 */
import {
  jsonInteger,
  nestingMax,
  type OtlpAttributes,
  OtlpError,
  type OtlpResource,
  type OtlpScope,
  type OtlpSpan,
  type OtlpTraces,
  statusCodeError,
} from './otlp.ts'

type Fields = Readonly<Record<string, unknown>>

/** Throws an `OtlpError`. */
export function decodeJsonTraces(body: Buffer): OtlpTraces {
  let root: unknown
  try {
    root = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new OtlpError('Invalid JSON', { cause })
  }
  return listOf(record(root, 'the request'), 'resourceSpans').map(readResource)
}

function readResource(value: unknown): OtlpResource {
  const fields = record(value, 'a resource')
  const resource = get(fields, 'resource')
  return {
    attributes:
      resource === undefined ? new Map() : readAttributes(record(resource, 'a resource'), 'attributes', 0),
    scopes: listOf(fields, 'scopeSpans').map(readScope),
  }
}

function readScope(value: unknown): OtlpScope {
  const fields = record(value, 'a scope')
  const scope = get(fields, 'scope')
  return {
    version: scope === undefined ? '' : textOf(record(scope, 'a scope'), 'version'),
    spans: listOf(fields, 'spans').map(readSpan),
  }
}

function readSpan(value: unknown): OtlpSpan {
  const fields = record(value, 'a span')
  const status = get(fields, 'status')
  const statusFields = status === undefined ? {} : record(status, 'a status')
  const code = get(statusFields, 'code')
  return {
    traceId: idOf(fields, 'traceId'),
    spanId: idOf(fields, 'spanId'),
    parentSpanId: idOf(fields, 'parentSpanId'),
    name: textOf(fields, 'name'),
    startNanos: nanosOf(fields, 'startTimeUnixNano'),
    endNanos: nanosOf(fields, 'endTimeUnixNano'),
    attributes: readAttributes(fields, 'attributes', 0),
    events: listOf(fields, 'events').map((event) => {
      const inner = record(event, 'a span event')
      return { name: textOf(inner, 'name'), attributes: readAttributes(inner, 'attributes', 0) }
    }),
    isError: code === statusCodeError || code === 'STATUS_CODE_ERROR',
    statusMessage: textOf(statusFields, 'message'),
  }
}

function readAttributes(fields: Fields, name: string, depth: number): OtlpAttributes {
  const attributes: OtlpAttributes = new Map()
  for (const pair of listOf(fields, name)) {
    const inner = record(pair, 'an attribute')
    const value = readValue(get(inner, 'value'), depth)
    if (value !== undefined) attributes.set(textOf(inner, 'key'), value)
  }
  return attributes
}

function readValue(value: unknown, depth: number): unknown {
  if (value === undefined) return undefined
  if (depth > nestingMax) throw new OtlpError(`Attribute values are nested deeper than ${nestingMax}`)
  const fields = record(value, 'a value')
  const text = get(fields, 'stringValue')
  if (text !== undefined) return String(text)
  const flag = get(fields, 'boolValue')
  if (flag !== undefined) return flag === true || flag === 'true'
  const integer = get(fields, 'intValue')
  if (integer !== undefined) return readInteger(integer)
  const double = get(fields, 'doubleValue')
  if (double !== undefined) return Number.isFinite(Number(double)) ? Number(double) : null
  const array = get(fields, 'arrayValue')
  if (array !== undefined)
    return listOf(record(array, 'an array'), 'values')
      .map((item) => readValue(item, depth + 1))
      .filter((item) => item !== undefined)
  const pairs = get(fields, 'kvlistValue')
  if (pairs !== undefined)
    return Object.fromEntries(readAttributes(record(pairs, 'a list of pairs'), 'values', depth + 1))
  const bytes = get(fields, 'bytesValue')
  return bytes === undefined ? undefined : Buffer.from(String(bytes), 'base64').toString('hex')
}

function readInteger(value: unknown): unknown {
  const text = String(value)
  if (!/^-?\d{1,20}$/.test(text)) throw new OtlpError('an intValue is no integer')
  return jsonInteger(text)
}

function idOf(fields: Fields, name: string): string {
  return textOf(fields, name).toLowerCase()
}

function nanosOf(fields: Fields, name: string): bigint {
  const value = get(fields, name) ?? '0'
  const text = String(value)
  if (!/^\d{1,20}$/.test(text)) throw new OtlpError(`${name} is no time in ns`)
  return BigInt(text)
}

function textOf(fields: Fields, name: string): string {
  const value = get(fields, name)
  if (value !== undefined && typeof value !== 'string') throw new OtlpError(`${name} is no text`)
  return value ?? ''
}

function listOf(fields: Fields, name: string): readonly unknown[] {
  const value = get(fields, name) ?? []
  if (!Array.isArray(value)) throw new OtlpError(`${name} is no array`)
  return value
}

/** The member in camel case, or else in snake case; null is like absent. */
function get(fields: Fields, name: string): unknown {
  const value = Object.hasOwn(fields, name)
    ? fields[name]
    : fields[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)]
  return value ?? undefined
}

function record(value: unknown, what: string): Fields {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new OtlpError(`${what} is no object`)
  return { ...value }
}
