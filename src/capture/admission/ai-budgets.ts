/** How many bytes of AI events a token may send per second: its own number, else the common one. 0 is no limit. */
import type { AdmissionConfig } from './config.ts'
import { parseOverrides } from './thresholds.ts'

export interface AiBudgets {
  /** Whether any token has a limit. */
  readonly isAny: boolean
  /** 0 where the token has none. */
  bytesPerSecondOf(token: string): number
}

type BudgetConfig = Pick<AdmissionConfig, 'aiBytesPerSecondMax' | 'aiBytesPerSecondOverrides'>

/** Fails with `CONFIG_INVALID` for an override that is none. */
export function createAiBudgets(config: BudgetConfig): AiBudgets {
  const overrides = parseOverrides(config.aiBytesPerSecondOverrides)
  return {
    isAny: config.aiBytesPerSecondMax > 0 || [...overrides.values()].some((bytes) => bytes > 0),
    bytesPerSecondOf: (token) => overrides.get(token) ?? config.aiBytesPerSecondMax,
  }
}
