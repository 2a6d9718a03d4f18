/** How often and how patiently a failed call is made again. Delays double from `delayMs` up to `delayMaxMs`, with jitter. */
export type RetryPolicy = { attemptsMax: number; delayMs: number; delayMaxMs: number }

export type RetryOptions = {
  policy: RetryPolicy
  isRetryable: (error: unknown) => boolean
  sleep: (ms: number, options: { signal?: AbortSignal | undefined }) => Promise<void>
  /** A number in [0, 1). */
  random: () => number
  onRetry?: (error: unknown, attempt: number) => void
  signal?: AbortSignal | undefined
}

/** Runs `call` until it succeeds, its error is not retryable, its attempts are used up, or the signal aborts. */
export async function retry<T>(call: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(attempt)
    } catch (error) {
      const isLast = attempt >= options.policy.attemptsMax || options.signal?.aborted === true
      if (isLast || !options.isRetryable(error)) throw error
      options.onRetry?.(error, attempt)
      await options.sleep(retryDelay(options.policy, attempt, options.random()), { signal: options.signal })
      if (options.signal?.aborted === true) throw error
    }
  }
}

/** The wait before attempt `attempt + 1`: half of it fixed, half of it by chance. */
export function retryDelay(policy: RetryPolicy, attempt: number, chance: number): number {
  const full = Math.min(policy.delayMaxMs, policy.delayMs * 2 ** Math.min(attempt - 1, 30))
  return full / 2 + (full / 2) * chance
}
