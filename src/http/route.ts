import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { RowmillError } from '../errors/rowmill-error.ts'

export type RawRequest = {
  method: string
  /** Without the query. */
  path: string
  /** What stands behind the `?`; empty if nothing does. */
  queryText: string
  headers: IncomingHttpHeaders
  /** The named parts of the route's path, as they stand in the URL. */
  params: Readonly<Record<string, string>>
  /** The address of the connection's other end. */
  remoteAddress: string
  /** The whole body, as it was sent. */
  body: Buffer
  /** Counts bytes made out of the body (unpacked) until the answer is sent. Fails with `SERVER_BUSY`. */
  reserve(bytes: number): void
}

export type RawResponse = {
  status: number
  headers?: Readonly<Record<string, string>>
  /** None is an empty body. */
  body?: string | Buffer
}

type RouteBase = {
  methods: readonly string[]
  /**
   * With or without a trailing slash, both match. `:name` matches one segment, a last `*` the rest. Exact
   * paths win over these.
   */
  path: string
  /** Answered even when the server is full: status pages. */
  isStatus?: boolean
  /** How an operating error is told to this route's clients. The default is a plain text. */
  refuse?: (error: RowmillError, request: RefusedRequest) => RawResponse
}
export type RefusedRequest = { method: string; path: string; headers: IncomingHttpHeaders }

/** A route that gets its whole body and gives a whole answer. */
export type RawRoute = RouteBase & {
  /** A larger body is refused with 413. */
  bodyBytesMax: number
  handle: (request: RawRequest) => Promise<RawResponse>
}

/** A route that reads and answers by itself, where streaming is needed. */
export type StreamRoute = RouteBase & {
  stream: (
    request: IncomingMessage,
    response: ServerResponse,
    params: Readonly<Record<string, string>>,
  ) => Promise<void> | void
}

export type Route = RawRoute | StreamRoute
