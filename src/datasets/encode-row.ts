/**
 * Ready messages are rows already: JSON objects whose keys are the table's columns. They are not parsed on
 * the way; where the record stood on the log is spliced in before the last brace. What does not look like
 * one object on one line is parsed and written anew, or refused.
 */
import type { LogRecord } from '../ports/log.ts'
import type { RowBuffer } from './row-buffer.ts'

const openBrace = 0x7b
const closeBrace = 0x7d
const newline = 0x0a

/** Whether the record became a row; if not, it is no JSON object. */
export function encodeRow(rows: RowBuffer, record: LogRecord, owner: number): boolean {
  const json = looksLikeRow(record.value) ? record.value : rewritten(record.value)
  if (json === undefined) return false
  rows.addSpliced(owner, json, placeOf(record))
  return true
}

/** Empty objects are left to the slow path: a comma must not follow the opening brace. */
function looksLikeRow(value: Buffer): boolean {
  const last = value.length - 1
  return last > 1 && value[0] === openBrace && value[last] === closeBrace && !value.includes(newline)
}

function rewritten(value: Buffer): Buffer | undefined {
  const parsed = parseObject(value)
  if (parsed === undefined || Object.keys(parsed).length === 0) return undefined
  return Buffer.from(JSON.stringify(parsed))
}

/** The message as an object, or nothing: a message that is no JSON is an expected outcome. */
export function parseObject(value: Buffer): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(value.toString())
    return isObject(parsed) ? parsed : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function placeOf({ timestampMs, offset, partition }: LogRecord): string {
  const seconds = Math.floor(timestampMs / 1000)
  return `,"_timestamp":${seconds},"_offset":${offset},"_partition":${partition}}`
}
