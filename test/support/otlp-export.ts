/** Exports for tests: one description, written as JSON or as protobuf by the field numbers of the OTLP schema. */
import protobuf from 'protobufjs/minimal.js'

export type JsonValue = {
  stringValue?: string
  boolValue?: boolean
  intValue?: string
  doubleValue?: number
  bytesValue?: string
  arrayValue?: { values: JsonValue[] }
  kvlistValue?: { values: JsonAttribute[] }
}
export type JsonAttribute = { key: string; value: JsonValue }
export type JsonSpan = {
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: JsonAttribute[]
  events: { name: string; attributes: JsonAttribute[] }[]
  status: { code: number; message: string }
}
export type JsonTraces = ReturnType<typeof tracesJson>

export function tracesJson(resource: JsonAttribute[], version: string, spans: JsonSpan[]) {
  return {
    resourceSpans: [
      { resource: { attributes: resource }, scopeSpans: [{ scope: { name: 'scope', version }, spans }] },
    ],
  }
}

export function protobufExport(traces: JsonTraces): Buffer {
  const resources = traces.resourceSpans.map(({ resource, scopeSpans }) =>
    concat(
      nested(1, concat(...resource.attributes.map((attribute) => nested(1, pair(attribute))))),
      ...scopeSpans.map(({ scope, spans }) =>
        nested(
          2,
          concat(
            nested(1, concat(text(1, scope.name), text(2, scope.version))),
            ...spans.map((span) => nested(2, spanBytes(span))),
          ),
        ),
      ),
    ),
  )
  return Buffer.from(concat(...resources.map((resource) => nested(1, resource))))
}

function spanBytes(span: JsonSpan): Uint8Array {
  return concat(
    nested(1, Buffer.from(span.traceId, 'hex')),
    nested(2, Buffer.from(span.spanId, 'hex')),
    nested(4, Buffer.from(span.parentSpanId, 'hex')),
    text(5, span.name),
    protobuf.Writer.create()
      .uint32((6 << 3) | 0)
      .int32(1)
      .finish(),
    protobuf.Writer.create()
      .uint32((7 << 3) | 1)
      .fixed64(span.startTimeUnixNano)
      .finish(),
    protobuf.Writer.create()
      .uint32((8 << 3) | 1)
      .fixed64(span.endTimeUnixNano)
      .finish(),
    ...span.attributes.map((attribute) => nested(9, pair(attribute))),
    ...span.events.map(({ name, attributes }) =>
      nested(11, concat(text(2, name), ...attributes.map((attribute) => nested(3, pair(attribute))))),
    ),
    nested(
      15,
      concat(
        text(2, span.status.message),
        protobuf.Writer.create()
          .uint32((3 << 3) | 0)
          .int32(span.status.code)
          .finish(),
      ),
    ),
  )
}

function pair({ key, value }: JsonAttribute): Uint8Array {
  return concat(text(1, key), nested(2, valueBytes(value)))
}

function valueBytes(value: JsonValue): Uint8Array {
  const writer = protobuf.Writer.create()
  if (value.stringValue !== undefined) return text(1, value.stringValue)
  if (value.boolValue !== undefined)
    return writer
      .uint32((2 << 3) | 0)
      .bool(value.boolValue)
      .finish()
  if (value.intValue !== undefined)
    return writer
      .uint32((3 << 3) | 0)
      .int64(value.intValue)
      .finish()
  if (value.doubleValue !== undefined)
    return writer
      .uint32((4 << 3) | 1)
      .double(value.doubleValue)
      .finish()
  if (value.arrayValue !== undefined)
    return nested(5, concat(...value.arrayValue.values.map((item) => nested(1, valueBytes(item)))))
  if (value.kvlistValue !== undefined)
    return nested(6, concat(...value.kvlistValue.values.map((item) => nested(1, pair(item)))))
  return nested(7, Buffer.from(value.bytesValue ?? '', 'base64'))
}

function text(field: number, value: string): Uint8Array {
  return protobuf.Writer.create()
    .uint32((field << 3) | 2)
    .string(value)
    .finish()
}

function nested(field: number, bytes: Uint8Array): Uint8Array {
  return protobuf.Writer.create()
    .uint32((field << 3) | 2)
    .bytes(bytes)
    .finish()
}

function concat(...chunks: Uint8Array[]): Uint8Array {
  return Buffer.concat(chunks)
}
