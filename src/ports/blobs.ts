import { RowmillError } from '../errors/rowmill-error.ts'

/**
 * Large immutable objects under a key.
 *
 * A key is one or more segments of `[A-Za-z0-9._=-]` joined by `/`; `.` and `..` are no segments; at most
 * 512 characters. `put` is durable when it resolves and replaces a whole object at once: a reader sees the
 * old bytes or the new ones, never a mixture. `get` of a missing key is `undefined`, not an error.
 *
 * A store that cannot be asked now fails with `BLOBS_UNAVAILABLE`, one that refuses until something is changed
 * with `BLOBS_REFUSED`, and a key of another form with `BLOB_KEY_INVALID`.
 */
export interface Blobs extends AsyncDisposable {
  put(key: string, bytes: Buffer): Promise<void>
  get(key: string): Promise<Buffer | undefined>
  /** Whether there was something to delete. */
  delete(key: string): Promise<boolean>
  /** Keys with this prefix in byte order. */
  list(prefix: string, options?: { signal?: AbortSignal }): AsyncIterable<{ key: string; bytes: number }>
  /**
   * An address with which anybody may read or write this one object until it expires, at most 7 days. `undefined`
   * where the store has no addresses. Whether there is such an object is not asked.
   */
  presign(key: string, options: BlobUrl): Promise<string | undefined>
}

export type BlobUrl = { expiresMs: number; method?: 'get' | 'put' }

const keyCharsMax = 512
const segment = /^[A-Za-z0-9._=-]+$/

export function isBlobKey(key: string): boolean {
  return (
    key.length <= keyCharsMax &&
    key.split('/').every((name) => segment.test(name) && name !== '.' && name !== '..')
  )
}

/** Fails with `BLOB_KEY_INVALID`. */
export function checkBlobKey(key: string): void {
  if (!isBlobKey(key))
    throw new RowmillError(
      'BLOB_KEY_INVALID',
      `A blob key is at most ${keyCharsMax} characters of A-Z a-z 0-9 . _ = - in segments joined by slashes.`,
    )
}
