/** Payloads of a storage under `payloads/`, what a processor makes of one, and the rows that it should make. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { CreateProcessor, ProcessorContext } from '../../src/datasets/processor/processor.ts'
import { runBatch } from '../../src/datasets/processor/run-batch.ts'
import type { LogRecord } from '../../src/ports/log.ts'
import { type LosslessValue, parseLossless, parseLosslessText } from '../../src/std/lossless-json.ts'

const root = new URL('payloads/', import.meta.url)

export type Payload = { name: string; value: Buffer; rows: LosslessValue[] | undefined }

/** When the record was appended, and what the time is while it is processed. */
export const fixedMs = 1_700_000_000_000
export const fixedUuid = '01234567-89ab-4cde-8f01-23456789abcd'

export function readPayloads(storage: string): Payload[] {
  return globSync(`${storage}/*.{json,bin}`, { cwd: root })
    .filter((path) => !path.endsWith('.rows.json'))
    .toSorted()
    .map((path) => ({
      name: basename(path).replace(/\.(json|bin)$/, ''),
      value: readFileSync(new URL(path, root)),
      rows: readRows(path),
    }))
}

export function recordOf(value: Buffer, more: Partial<LogRecord> = {}): LogRecord {
  const place = { topic: 'topic', partition: 0, offset: 1, timestampMs: fixedMs }
  return { ...place, key: null, value, headers: {}, ...more }
}

export function contextOf(more: Partial<ProcessorContext> = {}): ProcessorContext {
  return {
    storage: 'storage',
    format: 'JSONEachRow',
    retention: { defaultDays: 90, lowerDays: 30, validDays: [30, 90] },
    options: {},
    live: () => ({}),
    nowMs: () => fixedMs,
    uuid: () => fixedUuid,
    count: () => {},
    ...more,
  }
}

/** The rows that a processor makes of a message, with all integers in full, or how else the message ended. */
export function processOne(create: CreateProcessor, record: LogRecord, context = contextOf()) {
  const { rows, endings } = runBatch(create(context), [record], 1)
  const buffer = rows[0]
  const bytes = buffer?.slice(0, buffer.rows) ?? Buffer.alloc(0)
  const lines = context.format === 'JSONEachRow' ? bytes.toString().split('\n').slice(0, -1) : []
  return {
    rows: lines.map((line) => parseLosslessText(line)),
    lines,
    bytes: Buffer.from(bytes),
    ending: endings.get(0),
  }
}

function readRows(path: string): LosslessValue[] | undefined {
  const url = new URL(path.replace(/\.(json|bin)$/, '.rows.json'), root)
  if (!existsSync(url)) return undefined
  const rows = parseLossless(readFileSync(url))
  if (!Array.isArray(rows)) throw new TypeError(`${path} has no array of rows.`)
  return rows
}
