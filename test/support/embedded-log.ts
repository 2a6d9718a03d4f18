/** A log in a directory of its own for tests, with a clock that the test can move; both are gone afterwards. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../../src/adapters/embedded/log/config.ts'
import { type EmbeddedLogDeps, openEmbeddedLog } from '../../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Log } from '../../src/ports/log.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

export function temporaryDirectory(): { directory: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), 'rowmill-log-'))
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
}

export function logDeps(directory: string, clock: Clock = createSystemClock()): EmbeddedLogDeps {
  const logger = createLogger({ level: 'silent' })
  return { directory, clock, random: createSystemRandom(), metrics: createMetrics(), logger }
}

/** Sleeps of this length end when the test moves the clock. */
const retentionCheckIntervalMs = 3_600_000

export function createMovableClock() {
  const system = createSystemClock()
  let aheadMs = 0
  let sleeps = 0
  const sleepers = new Set<() => void>()
  const clock: Clock = {
    now: () => system.now() + aheadMs,
    monotonic: () => system.monotonic() + aheadMs,
    async sleep(ms, options = {}) {
      if (ms !== retentionCheckIntervalMs) return await system.sleep(ms, options)
      sleeps++
      const { promise, resolve } = Promise.withResolvers<void>()
      sleepers.add(resolve)
      options.signal?.addEventListener('abort', () => resolve(), { once: true })
      if (options.signal?.aborted === true) resolve()
      await promise
      sleepers.delete(resolve)
    },
  }
  return {
    clock,
    /** Moves the clock and waits until retention has looked and gone to sleep again. */
    async pass(ms: number) {
      aheadMs += ms
      const before = sleeps
      for (const wake of sleepers) wake()
      while (sleeps === before) await system.sleep(1)
    },
  }
}

export async function openTestLog(
  settings: Record<string, unknown> = {},
  given: Partial<EmbeddedLogDeps> = {},
) {
  const temporary = temporaryDirectory()
  const { directory } = temporary
  const movable = createMovableClock()
  const config = embeddedLogConfig.parse({ retentionCheckIntervalMs, diskReserveBytes: 4096, ...settings })
  const deps = { ...logDeps(directory, movable.clock), ...given }
  let current: Log | undefined
  const reopen = async () => {
    await current?.[Symbol.asyncDispose]()
    current = await openEmbeddedLog(deps, config)
    return current
  }
  return {
    log: await reopen(),
    directory,
    deps,
    config,
    reopen,
    passTime: movable.pass,
    async [Symbol.asyncDispose]() {
      await current?.[Symbol.asyncDispose]()
      temporary[Symbol.dispose]()
    },
  }
}
