/**
 * How many events a key may send per window: its own number from the cache, else from the config, else the
 * common one.
 */
import { z } from 'zod'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache } from '../../ports/cache.ts'
import type { AdmissionConfig } from './config.ts'

const customSchema = z.record(z.string(), z.number().nonnegative())

export interface Thresholds {
  of(key: string): number
  /** Fails with `CACHE_UNAVAILABLE`, or with `CONFIG_INVALID` when the cache holds something else. */
  refresh(): Promise<void>
}

export function createThresholds(cache: Cache, config: AdmissionConfig['rateLimit']): Thresholds {
  const overrides = parseOverrides(config.overrides)
  let custom = new Map<string, number>()
  return {
    of: (key) => custom.get(key) ?? overrides.get(key) ?? config.eventsMax,
    async refresh() {
      const text = await cache.get(config.customThresholdKey)
      try {
        const parsed: unknown = JSON.parse(text ?? '{}')
        custom = new Map(Object.entries(customSchema.parse(parsed)))
      } catch (cause) {
        throw new RowmillError(
          'CONFIG_INVALID',
          `The cache key ${config.customThresholdKey} holds no object of numbers.`,
          { cause },
        )
      }
    },
  }
}

/** From `key=number` entries; the last `=` separates. Entries without a number are refused. */
export function parseOverrides(entries: readonly string[]): Map<string, number> {
  return new Map(
    entries.map((entry) => {
      const at = entry.lastIndexOf('=')
      const value = at < 1 ? Number.NaN : Number(entry.slice(at + 1).trim() || Number.NaN)
      if (!(value >= 0))
        throw new RowmillError(
          'CONFIG_INVALID',
          `The override of a limit "${entry}" is not of the form key=number.`,
        )
      return [entry.slice(0, at).trim(), value] as const
    }),
  )
}
