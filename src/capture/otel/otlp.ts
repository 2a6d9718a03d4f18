/** An OTLP trace export as far as events are made of it. Attribute values are JSON values already. */
export type OtlpAttributes = Map<string, unknown>

export type OtlpSpan = {
  /** Hexadecimal, lower case. */
  traceId: string
  spanId: string
  /** Empty for a root span. */
  parentSpanId: string
  name: string
  startNanos: bigint
  endNanos: bigint
  attributes: OtlpAttributes
  events: readonly OtlpSpanEvent[]
  isError: boolean
  statusMessage: string
}

export type OtlpSpanEvent = { name: string; attributes: OtlpAttributes }

export type OtlpScope = { version: string; spans: readonly OtlpSpan[] }
export type OtlpResource = { attributes: OtlpAttributes; scopes: readonly OtlpScope[] }
export type OtlpTraces = readonly OtlpResource[]

/** The request is no OTLP trace export. */
export class OtlpError extends Error {
  override readonly name = 'OtlpError'
}

/** Attribute values may hold others; deeper than this is refused. */
export const nestingMax = 64

/** The OTLP status code of an error. */
export const statusCodeError = 2

/** A whole number as JSON: text where a double would lose digits. */
export function jsonInteger(text: string): number | string {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}
