/** The answer to an export: an `ExportTraceServiceResponse`, in the format of the request. */
import protobuf from 'protobufjs/minimal.js'

export type OtlpFormat = 'protobuf' | 'json'

export const otlpContentTypes: Readonly<Record<OtlpFormat, string>> = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
}

/** `message` says why spans were rejected. Nothing rejected is an empty answer. */
export function encodeExportResponse(
  format: OtlpFormat,
  rejected: { spans: number; message: string },
): Buffer {
  if (format === 'json') {
    const partial = { rejectedSpans: String(rejected.spans), errorMessage: rejected.message }
    return Buffer.from(JSON.stringify(rejected.spans === 0 ? {} : { partialSuccess: partial }))
  }
  if (rejected.spans === 0) return Buffer.alloc(0)
  const writer = protobuf.Writer.create()
  writer.uint32((1 << 3) | 2).fork()
  writer.uint32((1 << 3) | 0).int64(rejected.spans)
  writer.uint32((2 << 3) | 2).string(rejected.message)
  return Buffer.from(writer.ldelim().finish())
}

/** A `google.rpc.Status` with a message: how OTLP tells errors. */
export function encodeStatus(format: OtlpFormat, message: string): Buffer {
  if (format === 'json') return Buffer.from(JSON.stringify({ error: message, message }))
  return Buffer.from(
    protobuf.Writer.create()
      .uint32((2 << 3) | 2)
      .string(message)
      .finish(),
  )
}
