/** Counts how often a program has ended its process, and pauses it when that is too often. */
import type { Clock } from '../ports/clock.ts'
import type { SandboxConfig } from './config.ts'
import type { ProgramState } from './program.ts'

export interface Crashes {
  readonly state: ProgramState
  count(why: string): void
  forget(): void
}

export function createCrashes(
  clock: Clock,
  config: Pick<SandboxConfig, 'crashesMax' | 'crashWindowMs'>,
  onPaused: (reason: string) => void,
): Crashes {
  let times: number[] = []
  let state: ProgramState = { kind: 'running' }
  return {
    get state() {
      return state
    },
    count(why) {
      const nowMs = clock.monotonic()
      times = [...times.filter((at) => at > nowMs - config.crashWindowMs), nowMs]
      if (state.kind === 'paused' || times.length < config.crashesMax) return
      const minutes = Math.round(config.crashWindowMs / 6000) / 10
      const reason = `The program ended its process ${times.length} times within ${minutes} minutes; last it ${why}.`
      state = { kind: 'paused', reason, sinceMs: clock.now() }
      onPaused(reason)
    },
    forget() {
      times = []
      state = { kind: 'running' }
    },
  }
}
