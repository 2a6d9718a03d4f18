/**
 * A request's body, unpacked: first as much as a query may be long, then the rest. The data of an INSERT goes
 * to a file and never through memory as a whole.
 */
import { createWriteStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { finished, pipeline, type Readable } from 'node:stream'
import { pipeline as pipelinePromise } from 'node:stream/promises'
import { createDecoder } from '../codec/encodings.ts'
import { createBlockDecoder } from '../codec/native-blocks.ts'
import { failure, failureOf } from '../failure.ts'
import type { HostRequest } from './request.ts'

export interface Body {
  /** The first bytes, at most `bytesMax` and one chunk more, and whether that is everything. */
  head(bytesMax: number): Promise<{ bytes: Buffer; isWhole: boolean }>
  /** Writes `begin` and what `head` has not taken to a new file. */
  spool(path: string, begin: Buffer): Promise<void>
}

export function openBody(message: IncomingMessage, request: HostRequest, limits: { bytesMax: number }): Body {
  const chunks = limited(decoded(message, request), limits.bytesMax)
  return {
    async head(bytesMax) {
      const held: Buffer[] = []
      let heldBytes = 0
      while (heldBytes < bytesMax) {
        const next = await chunks.next()
        if (next.done === true) return { bytes: joined(held), isWhole: true }
        held.push(next.value)
        heldBytes += next.value.length
      }
      return { bytes: joined(held), isWhole: false }
    },
    async spool(path, begin) {
      await pipelinePromise(prepended(begin, chunks), createWriteStream(path, { flags: 'wx', mode: 0o600 }))
    },
  }
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}

function decoded(message: IncomingMessage, request: HostRequest): Readable {
  const decoder = createDecoder(request.contentCoding)
  const steps = [decoder, request.isBodyInBlocks ? createBlockDecoder() : undefined].filter(
    (step) => step !== undefined,
  )
  let stream: Readable = message
  for (const step of steps) {
    // The error arrives at whoever reads the last stream.
    stream = pipeline(stream, step, () => undefined)
  }
  if (stream === message) finished(message, () => undefined)
  return stream
}

async function* limited(stream: Readable, bytesMax: number): AsyncGenerator<Buffer, void> {
  let bytes = 0
  try {
    for await (const chunk of stream) {
      if (!Buffer.isBuffer(chunk)) throw failure('INCORRECT_DATA', 'The body is no bytes.')
      bytes += chunk.length
      if (bytes > bytesMax) throw failure('TOO_MANY_BYTES', `The body is larger than ${bytesMax} bytes.`)
      yield chunk
    }
  } catch (error) {
    const found = failureOf(error)
    throw found.code === 1001
      ? failure('CANNOT_DECOMPRESS', `The body cannot be read: ${found.message}.`)
      : found
  }
}

async function* prepended(begin: Buffer, rest: AsyncGenerator<Buffer, void>): AsyncGenerator<Buffer, void> {
  if (begin.length > 0) yield begin
  yield* rest
}
