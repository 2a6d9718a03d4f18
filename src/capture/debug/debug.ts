/**
 * `X-CAPTURE-DEBUG`: a client asks that the way of its request is logged, on one line at `info`. The line has
 * sizes, names and counts, and of the token its beginning; it never has ids, texts of events or properties.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { RawRequest, RawResponse } from '../../http/route.ts'
import type { Logger } from '../../telemetry/logger.ts'

export const debugHeader = 'x-capture-debug'
const tokenCharsMax = 8
const headerCharsMax = 100

export type DebugFacts = {
  token?: string
  compression?: string
  received?: number
  accepted?: number
  dropped?: number
  warnings?: number
}
export interface DebugTrace {
  tell(facts: DebugFacts): void
}

export function asksForDebug(headers: IncomingHttpHeaders): boolean {
  return headers[debugHeader] !== undefined
}

/** Runs `handle` with a trace, and logs what it told and how it ended. */
export async function traceRequest(
  options: { logger: Logger; route: string; request: RawRequest },
  handle: (trace: DebugTrace) => Promise<RawResponse>,
): Promise<RawResponse> {
  const { logger, route, request } = options
  const told: DebugFacts = {}
  const trace: DebugTrace = { tell: (facts) => Object.assign(told, facts) }
  const log = (outcome: Record<string, unknown>) => {
    const { token, ...facts } = told
    const shown = token === undefined ? {} : { token: `${token.slice(0, tokenCharsMax)}…` }
    logger.info({ route, ...describe(request), ...facts, ...shown, ...outcome }, 'The way of a request')
  }
  try {
    const answer = await handle(trace)
    log({ status: answer.status })
    return answer
  } catch (error) {
    log(isRowmillError(error) ? { status: error.entry.status, refused: error.code } : { status: 500 })
    throw error
  }
}

function describe({ method, headers, body, queryText }: RawRequest): Record<string, unknown> {
  const query = new URLSearchParams(queryText)
  const short = (text: unknown) => (typeof text === 'string' ? text.slice(0, headerCharsMax) : undefined)
  return {
    method,
    bytes: body.length,
    contentType: short(headers['content-type']),
    contentEncoding: short(headers['content-encoding']),
    queryCompression: short(query.get('compression') ?? undefined),
    isBeacon: query.get('beacon') === '1',
    requestId: short(headers['x-request-id']),
  }
}
