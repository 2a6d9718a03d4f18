/**
 * Reads a request's body into one buffer, within the route's limit and the server's bytes in flight. A known
 * length is reserved before the first byte is read; a body of unknown length is reserved as it comes. A
 * client that pauses for too long is told so, one that goes away ends the read with `undefined`.
 *
 * Stalls are found by one sweep over the bodies being read, not by a timer per request: the common body is
 * complete before a timer would have been worth setting.
 */
import type { IncomingMessage } from 'node:http'
import { RowmillError } from '../errors/rowmill-error.ts'

export type BodyReader = {
  /**
   * What the headers alone rule out is thrown at once, before anything is read.
   * @param hold adds to the request's share of the bytes in flight; false if there is no room.
   * @returns the body, or undefined if the client went away. Fails with `BODY_TOO_LARGE`, `BODY_STALLED` or `SERVER_BUSY`.
   */
  read(request: IncomingMessage, bodyBytesMax: number, hold: Hold): Promise<Buffer | undefined>
  /** Ends the reads that have paused for too long. */
  sweep(): void
}
export type Hold = (bytes: number) => boolean

type Reading = { lastAt: number; fail: (error: RowmillError) => void }
const empty = Buffer.alloc(0)

export function createBodyReader(now: () => number, bodyStallMs: number): BodyReader {
  const readings = new Set<Reading>()
  return {
    read(request, bodyBytesMax, hold) {
      const declared = declaredLength(request)
      if (declared === 0) return Promise.resolve(empty)
      if (declared !== undefined && declared > bodyBytesMax) throw tooLarge(bodyBytesMax)
      if (declared !== undefined && !hold(declared)) throw busy()
      return new Promise((resolve, reject) => {
        let first: Buffer | undefined
        let more: Buffer[] | undefined
        let length = 0
        const fail = (error: RowmillError) => {
          readings.delete(reading)
          request.off('data', onData)
          reject(error)
        }
        const reading: Reading = { lastAt: now(), fail }
        readings.add(reading)
        const onData = (chunk: Buffer) => {
          length += chunk.length
          if (length > bodyBytesMax) return fail(tooLarge(bodyBytesMax))
          if (declared === undefined && !hold(chunk.length)) return fail(busy())
          if (first === undefined) first = chunk
          else {
            more ??= [first]
            more.push(chunk)
          }
          // The last piece is followed by the end at once.
          if (length !== declared) reading.lastAt = now()
        }
        // What is told after an end or a failure changes nothing: a promise is settled once.
        request.on('data', onData)
        request.on('end', () => {
          readings.delete(reading)
          resolve(more === undefined ? (first ?? empty) : Buffer.concat(more, length))
        })
        request.on('close', () => {
          readings.delete(reading)
          resolve(undefined)
        })
      })
    },
    sweep() {
      const before = now() - bodyStallMs
      for (const reading of [...readings])
        if (reading.lastAt < before)
          reading.fail(new RowmillError('BODY_STALLED', 'timed out while reading the request body'))
    },
  }
}

/**
 * Lets a refused client finish sending, so that it reads the answer instead of a reset: up to `lingerBytesMax`
 * are thrown away within `lingerMs`, then the connection is closed.
 */
export function discardBody(
  request: IncomingMessage,
  bounds: { lingerBytesMax: number; lingerMs: number },
): void {
  if (request.complete || request.destroyed) return
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy()
  }, bounds.lingerMs)
  timer.unref()
  // After its end the connection belongs to the next request.
  const forget = () => clearTimeout(timer)
  request.once('end', forget)
  request.once('close', forget)
  let left = bounds.lingerBytesMax
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) request.destroy()
  })
  request.resume()
}

/** The length that the headers promise; undefined where they promise none but a body may come. */
function declaredLength(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length']
  if (header !== undefined) return Number(header)
  return request.headers['transfer-encoding'] === undefined ? 0 : undefined
}

function tooLarge(bodyBytesMax: number): RowmillError {
  return new RowmillError(
    'BODY_TOO_LARGE',
    `maximum event size exceeded: the request body exceeds the limit of ${bodyBytesMax} bytes`,
  )
}

export function busy(): RowmillError {
  return new RowmillError('SERVER_BUSY', 'The server holds as many bytes of requests as it may.')
}
