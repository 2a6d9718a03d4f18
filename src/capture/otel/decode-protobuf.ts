/**
 * Reads an `ExportTraceServiceRequest` in protobuf, by the field numbers of the public OTLP schema
 * (opentelemetry-proto, trace/v1, common/v1, resource/v1). Unknown fields are skipped.
 */
import protobuf from 'protobufjs/minimal.js'
import {
  jsonInteger,
  nestingMax,
  type OtlpAttributes,
  OtlpError,
  type OtlpResource,
  type OtlpScope,
  type OtlpSpan,
  type OtlpSpanEvent,
  type OtlpTraces,
  statusCodeError,
} from './otlp.ts'

type Reader = protobuf.Reader

const lengthDelimited = 2

/** Throws an `OtlpError`. */
export function decodeProtobufTraces(body: Buffer): OtlpTraces {
  const resources: OtlpResource[] = []
  try {
    eachField(protobuf.Reader.create(body), body.length, (field, reader) => {
      if (field !== 1) return false
      resources.push(message(reader, readResource))
      return true
    })
  } catch (cause) {
    if (cause instanceof OtlpError) throw cause
    throw new OtlpError('Invalid protobuf', { cause })
  }
  return resources
}

/** Calls `read` for each field up to `end`; a field that it does not read is skipped. */
function eachField(
  reader: Reader,
  end: number,
  read: (field: number, reader: Reader, wireType: number) => boolean,
): void {
  while (reader.pos < end) {
    const tag = reader.uint32()
    const wireType = tag & 7
    if (!read(tag >>> 3, reader, wireType)) reader.skipType(wireType)
  }
  if (reader.pos !== end) throw new OtlpError('Invalid protobuf: a message is longer than it says')
}

/** Reads a length and the message that follows. */
function message<T>(reader: Reader, read: (reader: Reader, end: number) => T): T {
  const end = reader.uint32() + reader.pos
  if (end > reader.len) throw new OtlpError('Invalid protobuf: a message ends too early')
  return read(reader, end)
}

function readResource(reader: Reader, end: number): OtlpResource {
  let attributes: OtlpAttributes = new Map()
  const scopes: OtlpScope[] = []
  eachField(reader, end, (field, inner) => {
    if (field === 1) attributes = message(inner, (at, stop) => readAttributes(at, stop, { pairField: 1 }))
    else if (field === 2) scopes.push(message(inner, readScope))
    else return false
    return true
  })
  return { attributes, scopes }
}

function readScope(reader: Reader, end: number): OtlpScope {
  let version = ''
  const spans: OtlpSpan[] = []
  eachField(reader, end, (field, inner) => {
    if (field === 1) version = message(inner, readScopeVersion)
    else if (field === 2) spans.push(message(inner, readSpan))
    else return false
    return true
  })
  return { version, spans }
}

function readScopeVersion(reader: Reader, end: number): string {
  let version = ''
  eachField(reader, end, (field, inner) => {
    if (field !== 2) return false
    version = inner.string()
    return true
  })
  return version
}

function readSpan(reader: Reader, end: number): OtlpSpan {
  const events: OtlpSpanEvent[] = []
  const span = {
    traceId: '',
    spanId: '',
    parentSpanId: '',
    name: '',
    startNanos: 0n,
    endNanos: 0n,
    attributes: new Map<string, unknown>(),
    events,
    isError: false,
    statusMessage: '',
  }
  eachField(reader, end, (field, inner) => {
    if (field === 1) span.traceId = hex(inner.bytes())
    else if (field === 2) span.spanId = hex(inner.bytes())
    else if (field === 4) span.parentSpanId = hex(inner.bytes())
    else if (field === 5) span.name = inner.string()
    else if (field === 7) span.startNanos = BigInt(inner.fixed64().toString())
    else if (field === 8) span.endNanos = BigInt(inner.fixed64().toString())
    else if (field === 9) readAttribute(inner, span.attributes, 0)
    else if (field === 11) events.push(message(inner, readSpanEvent))
    else if (field === 15) Object.assign(span, message(inner, readStatus))
    else return false
    return true
  })
  return span
}

function readSpanEvent(reader: Reader, end: number): OtlpSpanEvent {
  const event = { name: '', attributes: new Map<string, unknown>() }
  eachField(reader, end, (field, inner) => {
    if (field === 2) event.name = inner.string()
    else if (field === 3) readAttribute(inner, event.attributes, 0)
    else return false
    return true
  })
  return event
}

function readStatus(reader: Reader, end: number): Pick<OtlpSpan, 'isError' | 'statusMessage'> {
  const status = { isError: false, statusMessage: '' }
  eachField(reader, end, (field, inner) => {
    if (field === 2) status.statusMessage = inner.string()
    else if (field === 3) status.isError = inner.int32() === statusCodeError
    else return false
    return true
  })
  return status
}

/** The key-value pairs of a message that has them in `pairField`. */
function readAttributes(
  reader: Reader,
  end: number,
  { pairField, depth = 0 }: { pairField: number; depth?: number },
): OtlpAttributes {
  const attributes: OtlpAttributes = new Map()
  eachField(reader, end, (field, inner) => {
    if (field !== pairField) return false
    readAttribute(inner, attributes, depth)
    return true
  })
  return attributes
}

/** A pair without a value is left out. */
function readAttribute(reader: Reader, into: OtlpAttributes, depth: number): void {
  message(reader, (inner, end) => {
    let key = ''
    let value: unknown
    eachField(inner, end, (field, at) => {
      if (field === 1) key = at.string()
      else if (field === 2) value = message(at, (from, stop) => readValue(from, stop, depth))
      else return false
      return true
    })
    if (value !== undefined) into.set(key, value)
  })
}

/** `AnyValue`; `undefined` where none is set. */
function readValue(reader: Reader, end: number, depth: number): unknown {
  if (depth > nestingMax) throw new OtlpError(`Attribute values are nested deeper than ${nestingMax}`)
  let value: unknown
  eachField(reader, end, (field, inner, wireType) => {
    if (field === 1) value = inner.string()
    else if (field === 2) value = inner.bool()
    else if (field === 3) value = jsonInteger(inner.int64().toString())
    else if (field === 4) value = finite(inner.double())
    else if (field === 5 && wireType === lengthDelimited)
      value = message(inner, (at, stop) => readArray(at, stop, depth + 1))
    else if (field === 6 && wireType === lengthDelimited)
      value = message(inner, (at, stop) =>
        Object.fromEntries(readAttributes(at, stop, { pairField: 1, depth: depth + 1 })),
      )
    else if (field === 7) value = hex(inner.bytes())
    else return false
    return true
  })
  return value
}

function readArray(reader: Reader, end: number, depth: number): unknown[] {
  const values: unknown[] = []
  eachField(reader, end, (field, inner) => {
    if (field !== 1) return false
    const value = message(inner, (at, stop) => readValue(at, stop, depth))
    if (value !== undefined) values.push(value)
    return true
  })
  return values
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
