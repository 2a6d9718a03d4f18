/**
 * What a job carries as bytes. JSON text never begins with gzip's magic number, so it needs no mark; a blob may
 * begin with anything, so a byte in front says how it is kept.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import { RowmillError } from '../errors/rowmill-error.ts'
import type { JobPayload } from './job.ts'

type PayloadLimits = { compressBytesMin: number; payloadBytesMax: number }
export type EncodedPayload = { [Part in keyof JobPayload]: Buffer | null }

const rawMark = 0
const gzipMark = 1

/** Fails with `JOB_INVALID` where a value is no JSON or too large. */
export function encodeJson(value: unknown, part: string, limits: PayloadLimits): Buffer | null {
  if (value === undefined || value === null) return null
  const text = jsonText(value)
  if (text === undefined) throw new RowmillError('JOB_INVALID', `The ${part} of a job must be JSON.`)
  const bytes = Buffer.from(text)
  checkSize(bytes, part, limits)
  return bytes.length < limits.compressBytesMin ? bytes : smaller(bytes, gzipSync(bytes, { level: 1 }))
}

export function decodeJson(bytes: Buffer | null): unknown {
  if (bytes === null) return null
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b
  const text = isPacked ? gunzipSync(bytes) : bytes
  return JSON.parse(text.toString())
}

export function encodeBlob(blob: Buffer | null | undefined, limits: PayloadLimits): Buffer | null {
  if (blob === undefined || blob === null) return null
  checkSize(blob, 'blob', limits)
  const raw = Buffer.concat([Buffer.of(rawMark), blob])
  if (blob.length < limits.compressBytesMin) return raw
  return smaller(raw, Buffer.concat([Buffer.of(gzipMark), gzipSync(blob, { level: 1 })]))
}

export function decodeBlob(bytes: Buffer | null): Buffer | null {
  if (bytes === null) return null
  const body = bytes.subarray(1)
  return bytes[0] === gzipMark ? gunzipSync(body) : body
}

export function encodePayload(payload: Partial<JobPayload>, limits: PayloadLimits): EncodedPayload {
  return {
    state: encodeJson(payload.state, 'state', limits),
    parameters: encodeJson(payload.parameters, 'parameters', limits),
    metadata: encodeJson(payload.metadata, 'metadata', limits),
    blob: encodeBlob(payload.blob, limits),
  }
}

/** Only the parts that are there: they replace what a job carries. */
export function encodeChanges(payload: Partial<JobPayload>, limits: PayloadLimits): Partial<EncodedPayload> {
  const changes: Partial<EncodedPayload> = {}
  for (const part of ['state', 'parameters', 'metadata'] as const)
    if (payload[part] !== undefined) changes[part] = encodeJson(payload[part], part, limits)
  if (payload.blob !== undefined) changes.blob = encodeBlob(payload.blob, limits)
  return changes
}

export function decodePayload(row: EncodedPayload): JobPayload {
  return {
    state: decodeJson(row.state),
    parameters: decodeJson(row.parameters),
    metadata: decodeJson(row.metadata),
    blob: decodeBlob(row.blob),
  }
}

function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new RowmillError('JOB_INVALID', 'What a job carries must be JSON.', { cause })
  }
}

function smaller(plain: Buffer, packed: Buffer): Buffer {
  return packed.length < plain.length ? packed : plain
}

function checkSize(bytes: Buffer, part: string, { payloadBytesMax }: PayloadLimits): void {
  if (bytes.length > payloadBytesMax)
    throw new RowmillError(
      'JOB_INVALID',
      `The ${part} of a job has ${bytes.length} bytes, more than jobs.payloadBytesMax (${payloadBytesMax}).`,
    )
}
