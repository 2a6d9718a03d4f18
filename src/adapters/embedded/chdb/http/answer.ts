/**
 * Answers of ClickHouse's HTTP interface. An error before the first byte has its status; one in mid-answer is
 * written as ClickHouse does it: a block between `__exception__` marks with a tag from the headers, after
 * which the connection is closed without an end, so that no client takes the answer for whole.
 */
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Clock } from '../../../../ports/clock.ts'
import { createEncoder } from '../codec/encodings.ts'
import { createBlockEncoder } from '../codec/native-blocks.ts'
import { failure, type HostFailure } from '../failure.ts'
import type { HostRequest } from './request.ts'

export type Summary = {
  rowsRead: number
  bytesRead: number
  rowsWritten: number
  bytesWritten: number
  elapsed: number
}

export const noSummary: Summary = { rowsRead: 0, bytesRead: 0, rowsWritten: 0, bytesWritten: 0, elapsed: 0 }

export type AnswerContext = { version: string; timezone: string; clock: Clock; stallMs: number }

export interface Answer {
  readonly isBegun: boolean
  begin(options: { format: string; summary: Summary }): void
  /** Waits until the client takes more. Throws when it has gone, or takes nothing for `stallMs`. */
  write(chunk: Buffer): Promise<void>
  end(): Promise<void>
  fail(error: HostFailure): Promise<void>
}

export function createAnswer(
  response: ServerResponse,
  request: Pick<HostRequest, 'queryId' | 'answerCoding' | 'isAnswerInBlocks'>,
  context: AnswerContext,
): Answer {
  const tag = randomBytes(8).toString('hex')
  let sink: Writable = response
  let isBegun = false
  return {
    get isBegun() {
      return isBegun
    },
    begin({ format, summary }) {
      isBegun = true
      response.writeHead(200, {
        ...commonHeaders(request, context),
        'Content-Type': contentType(format),
        'X-ClickHouse-Format': format,
        'X-ClickHouse-Exception-Tag': tag,
        'X-ClickHouse-Summary': summaryText(summary),
        ...(request.answerCoding === undefined
          ? {}
          : { 'Content-Encoding': request.answerCoding, Vary: 'Accept-Encoding' }),
      })
      if (request.answerCoding !== undefined) sink = piped(createEncoder(request.answerCoding), sink)
      if (request.isAnswerInBlocks) sink = piped(createBlockEncoder(), sink)
    },
    async write(chunk) {
      if (!sink.write(chunk)) await drained(sink, { response, context })
    },
    async end() {
      sink.end()
      await finished(response)
    },
    async fail(error) {
      const text = error.text(context.version)
      if (isBegun) await breakOff({ response, sink, text, tag })
      else {
        isBegun = true
        response.writeHead(error.status, {
          ...commonHeaders(request, context),
          'Content-Type': 'text/plain; charset=UTF-8',
          'X-ClickHouse-Exception-Code': String(error.code),
          ...(error.status === 503 ? { 'Retry-After': '1' } : {}),
          ...(error.code === 516 ? { 'WWW-Authenticate': 'Basic realm="ClickHouse server HTTP API"' } : {}),
          Connection: 'close',
        })
        response.end(text)
      }
    },
  }
}

async function breakOff(answer: {
  response: ServerResponse
  sink: Writable
  text: string
  tag: string
}): Promise<void> {
  const { response, sink, text, tag } = answer
  if (response.destroyed) return
  const length = Buffer.byteLength(text)
  const block = `\r\n__exception__\r\n${tag}\r\n${text}${length} ${tag}\r\n__exception__\r\n`
  if (sink === response) await new Promise<void>((resolve) => response.write(block, () => resolve()))
  else {
    sink.end(block)
    await new Promise<void>((resolve) => sink.once('end', resolve).once('close', resolve))
  }
  response.socket?.destroySoon()
}

/** Sends what `encoder` makes to `target` and ends it with the encoder's own end. */
function piped(encoder: Writable & NodeJS.ReadableStream, target: Writable): Writable {
  encoder.pipe(target)
  return encoder
}

async function drained(
  sink: Writable,
  options: { response: ServerResponse; context: AnswerContext },
): Promise<void> {
  const { response, context } = options
  const over = new AbortController()
  const turn = Promise.withResolvers<void>()
  const go = () => turn.resolve()
  const gone = () => turn.reject(failure('QUERY_WAS_CANCELLED', 'The client has gone.'))
  void context.clock.sleep(context.stallMs, { signal: over.signal }).then(() => {
    turn.reject(failure('QUERY_WAS_CANCELLED', `The client has read nothing for ${context.stallMs} ms.`))
  })
  sink.once('drain', go)
  response.once('close', gone)
  try {
    if (response.destroyed) gone()
    await turn.promise
  } finally {
    over.abort()
    sink.off('drain', go)
    response.off('close', gone)
  }
}

function commonHeaders(
  request: Pick<HostRequest, 'queryId'>,
  context: AnswerContext,
): Record<string, string> {
  return {
    'X-ClickHouse-Server-Display-Name': 'rowmill',
    'X-ClickHouse-Query-Id': headerText(request.queryId),
    'X-ClickHouse-Timezone': context.timezone,
  }
}

function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}

function summaryText(summary: Summary): string {
  return JSON.stringify({
    read_rows: String(summary.rowsRead),
    read_bytes: String(summary.bytesRead),
    written_rows: String(summary.rowsWritten),
    written_bytes: String(summary.bytesWritten),
    total_rows_to_read: '0',
    result_rows: String(summary.rowsWritten),
    result_bytes: String(summary.bytesWritten),
    elapsed_ns: String(Math.round(summary.elapsed * 1e9)),
  })
}

function contentType(format: string): string {
  const lower = format.toLowerCase()
  if (lower.includes('eachrow')) return 'application/x-ndjson; charset=UTF-8'
  if (lower.startsWith('json')) return 'application/json; charset=UTF-8'
  if (lower.startsWith('csv')) return 'text/csv; charset=UTF-8'
  if (lower.startsWith('tabseparated') || lower.startsWith('tsv'))
    return 'text/tab-separated-values; charset=UTF-8'
  if (/^(rowbinary|native|parquet|arrow|orc|avro|npy|msgpack|bson|protobuf)/.test(lower))
    return 'application/octet-stream'
  return 'text/plain; charset=UTF-8'
}
