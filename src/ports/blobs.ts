/**
 * Large immutable objects under a key.
 *
 * A key is one or more segments of `[A-Za-z0-9._=-]` joined by `/`; `.` and `..` are no segments; at most
 * 512 characters. `put` is durable when it resolves and replaces a whole object at once: a reader sees the
 * old bytes or the new ones, never a mixture. `get` of a missing key is `undefined`, not an error.
 */
export interface Blobs extends AsyncDisposable {
  put(key: string, bytes: Buffer): Promise<void>
  get(key: string): Promise<Buffer | undefined>
  /** Whether there was something to delete. */
  delete(key: string): Promise<boolean>
  /** Keys with this prefix in byte order. */
  list(prefix: string, options?: { signal?: AbortSignal }): AsyncIterable<{ key: string; bytes: number }>
}
