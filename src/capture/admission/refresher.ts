/**
 * State that is read from the cache in the background. A failed reading keeps the last state: what cannot be
 * read must not stop events.
 */
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export type RefreshSource = 'quotas' | 'restrictions' | 'rate_limits' | 'thresholds'
export type RefreshDeps = { clock: Clock; logger: Logger; metrics: Metrics }

/** Runs `read` once, then every `intervalMs` until the signal aborts. */
export async function startRefresh(
  deps: RefreshDeps,
  options: { source: RefreshSource; intervalMs: number; read: () => Promise<void>; signal: AbortSignal },
): Promise<{ ended: Promise<void> }> {
  await readOnce(deps, options)
  return { ended: runRefresh(deps, options) }
}

async function runRefresh(
  deps: RefreshDeps,
  options: { source: RefreshSource; intervalMs: number; read: () => Promise<void>; signal: AbortSignal },
): Promise<void> {
  while (!options.signal.aborted) {
    await deps.clock.sleep(options.intervalMs, { signal: options.signal })
    if (!options.signal.aborted) await readOnce(deps, options)
  }
}

async function readOnce(
  deps: RefreshDeps,
  options: { source: RefreshSource; read: () => Promise<void> },
): Promise<void> {
  try {
    await options.read()
  } catch (error) {
    if (!isRowmillError(error)) throw error
    deps.metrics.count('capture_admission_refresh_failures_total', 1, { source: options.source })
    deps.logger.warn(
      { source: options.source, error },
      'Admission could not refresh its state from the cache',
    )
  }
}
