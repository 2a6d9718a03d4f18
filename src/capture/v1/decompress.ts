import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib'
import { V1Error } from './error.ts'
import type { V1Encoding } from './request-context.ts'

type Decompress = (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>

const decompressors: Readonly<Record<V1Encoding, Decompress>> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
}
const inflateBare: Decompress = promisify(inflateRaw)

/** The body as it was before it was compressed, at most `bytesMax` bytes of it. Throws a `V1Error`. */
export async function decompress(
  body: Buffer,
  encoding: V1Encoding | undefined,
  bytesMax: number,
): Promise<Buffer> {
  if (encoding === undefined) {
    if (body.length > bytesMax) throw tooLarge(bytesMax)
    return body
  }
  // Some clients call the bare deflate stream "deflate", without the zlib frame that the name means.
  const isBare = encoding === 'deflate' && !isZlibFrame(body)
  const run = isBare ? inflateBare : decompressors[encoding]
  try {
    return await run(body, { maxOutputLength: bytesMax })
  } catch (cause) {
    if (codeOf(cause) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax)
    throw new V1Error('request_decoding_error', 'Failed to decode request body.', { cause })
  }
}

function isZlibFrame(body: Buffer): boolean {
  const [first = 0, second = 0] = body
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
}

function tooLarge(bytesMax: number): V1Error {
  return new V1Error('payload_too_large', `payload too large: more than ${bytesMax} bytes`)
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
