import { isRowmillError } from '../errors/rowmill-error.ts'
import type { JobError } from './job.ts'

type Frame = Pick<JobError, 'attempt' | 'atMs' | 'worker'> & {
  kind?: JobError['kind']
  errorBytesMax: number
}

/** What is kept of an error: its class or code, and its message with those of its causes, up to a bound. */
export function jobErrorOf(error: unknown, { errorBytesMax, kind = 'error', ...frame }: Frame): JobError {
  return {
    ...frame,
    kind,
    type: storable(typeOf(error), 200),
    message: storable(messageOf(error), errorBytesMax),
  }
}

function typeOf(error: unknown): string {
  if (isRowmillError(error)) return error.code
  return error instanceof Error ? error.name : typeof error
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : safeText(error)
  const messages: string[] = []
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++)
    messages.push(at.message)
  return messages.join('; because: ')
}

function safeText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    // A value that is no JSON still has a kind to tell.
    return Object.prototype.toString.call(value)
  }
}

/** PostgreSQL's jsonb takes neither NUL nor half a surrogate pair. */
function storable(text: string, bytesMax: number): string {
  const whole = text.replaceAll('\0', '\ufffd').toWellFormed()
  const bytes = Buffer.from(whole)
  return bytes.length <= bytesMax
    ? whole
    : `${bytes
        .subarray(0, bytesMax - 3)
        .toString()
        .replace(/\ufffd+$/, '')}…`
}
