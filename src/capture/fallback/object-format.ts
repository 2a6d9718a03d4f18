/**
 * What a kept object is: lines of JSON. The first one names the format; each other line is one record, whose value
 * is text where it is UTF-8 and base64 where it is not. Requests stand one after the other, whole. The time of the
 * append is not kept: the log's own time goes on, and when capture received an event stands in its message.
 */
import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import type { NewRecord } from '../../ports/log.ts'

const head = '{"format":"rowmill-captured-1"}\n'

const lineSchema = z.object({
  topic: z.string().min(1),
  partition: z.number().int().min(0).optional(),
  key: z.string().nullable().optional(),
  keyBase64: z.string().optional(),
  headers: z.record(z.string(), z.string().nullable()).optional(),
  value: z.string().optional(),
  valueBase64: z.string().optional(),
})

/** The lines of one request. */
export function encodeRecords(records: readonly NewRecord[]): Buffer {
  return Buffer.from(records.map((record) => `${JSON.stringify(lineOf(record))}\n`).join(''))
}

/** One object of the lines of several requests. */
export function joinObject(parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(head), ...parts])
}

/** Undefined for bytes that are no such object. */
export function decodeObject(bytes: Buffer): NewRecord[] | undefined {
  const text = bytes.toString('utf8')
  if (!text.startsWith(head) || !text.endsWith('\n')) return undefined
  const records: NewRecord[] = []
  for (const line of text.slice(head.length, -1).split('\n')) {
    const record = decodeLine(line)
    if (record === undefined) return undefined
    records.push(record)
  }
  return records
}

function lineOf({ topic, partition, key, headers, value }: NewRecord): z.input<typeof lineSchema> {
  return {
    topic,
    ...(partition === undefined ? {} : { partition }),
    ...(Buffer.isBuffer(key) ? { keyBase64: key.toString('base64') } : { key }),
    ...(headers === undefined ? {} : { headers: { ...headers } }),
    ...(isUtf8(value) ? { value: value.toString('utf8') } : { valueBase64: value.toString('base64') }),
  }
}

function decodeLine(line: string): NewRecord | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return undefined
  }
  const { success, data } = lineSchema.safeParse(parsed)
  if (!success || (data.value === undefined && data.valueBase64 === undefined)) return undefined
  const { topic, partition, key = null, keyBase64, headers, value, valueBase64 } = data
  return {
    topic,
    ...(partition === undefined ? {} : { partition }),
    key: keyBase64 === undefined ? key : Buffer.from(keyBase64, 'base64'),
    value: value === undefined ? Buffer.from(valueBase64 ?? '', 'base64') : Buffer.from(value),
    ...(headers === undefined ? {} : { headers }),
  }
}
