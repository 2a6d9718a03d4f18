/** Packs the rows of an insert in a content coding that ClickHouse unpacks. */
import { promisify } from 'node:util'
import { constants, gzip, zstdCompress } from 'node:zlib'
import { compressFrame } from 'lz4-napi'

export type BodyCoding = 'none' | 'gzip' | 'lz4' | 'zstd'

const gzipBody = promisify(gzip)
const zstdBody = promisify(zstdCompress)

/** Fast levels: what is saved on the way must not cost more in this process. */
const codings = {
  none: async (body: Buffer) => body,
  gzip: (body: Buffer) => gzipBody(body, { level: 1 }),
  lz4: (body: Buffer) => compressFrame(body),
  zstd: (body: Buffer) => zstdBody(body, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
} satisfies Record<BodyCoding, (body: Buffer) => Promise<Buffer>>

/** The parts as they are to be sent, and the header that says how. Off this thread. */
export async function packBody(
  parts: readonly Buffer[],
  coding: BodyCoding,
): Promise<{ body: readonly Buffer[]; headers: Record<string, string> }> {
  if (coding === 'none') return { body: parts, headers: {} }
  const [only] = parts
  const whole = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  return { body: [await codings[coding](whole)], headers: { 'Content-Encoding': coding } }
}
