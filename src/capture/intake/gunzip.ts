import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { RawRequest } from '../../http/route.ts'

const unpack = promisify(gunzip)

/**
 * The body of a request that is gzip-encoded as a whole or not encoded, at most `bytesMax` bytes of it. Fails
 * with `BODY_TOO_LARGE` or `EVENT_INVALID`.
 */
export async function readWholeBody(
  request: Pick<RawRequest, 'headers' | 'body' | 'reserve'>,
  bytesMax: number,
): Promise<Buffer> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding === '' || encoding === 'identity') return request.body
  if (encoding !== 'gzip')
    throw new RowmillError(
      'EVENT_INVALID',
      `failed to decode request: unsupported content-encoding: ${encoding}`,
    )
  let body: Buffer
  try {
    body = await unpack(request.body, { maxOutputLength: bytesMax })
  } catch (cause) {
    const isTooLarge = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE'
    throw isTooLarge
      ? new RowmillError('BODY_TOO_LARGE', `maximum event size exceeded: more than ${bytesMax} bytes`, {
          cause,
        })
      : new RowmillError('EVENT_INVALID', 'failed to decode request: invalid GZIP data', { cause })
  }
  request.reserve(body.length)
  return body
}
