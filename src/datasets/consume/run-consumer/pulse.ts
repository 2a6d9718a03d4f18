/**
 * Whether a consumer gets on with its work, told by a file that is touched at most once a second: an outside
 * watcher restarts a consumer whose file grows old. It is healthy while nothing is in hand, or something has
 * been settled since the last look; one batch that is tried again and again is not.
 */
import { writeFile } from 'node:fs/promises'
import type { Clock } from '../../../ports/clock.ts'
import type { Logger } from '../../../telemetry/logger.ts'

export interface Pulse {
  /** A batch of this place is in hand. */
  begin(place: string): void
  /** It is settled, or given back. */
  end(place: string): void
  /** Asked by the watcher: whether it is healthy since it was last asked. */
  isHealthy(): boolean
}

const touchIntervalMs = 1000

export function createPulse(): Pulse {
  const inHand = new Set<string>()
  let hasSettled = false
  return {
    begin: (place) => void inHand.add(place),
    end(place) {
      hasSettled ||= inHand.delete(place)
    },
    isHealthy() {
      const isHealthy = hasSettled || inHand.size === 0
      hasSettled = false
      return isHealthy
    },
  }
}

/** Touches the file while the pulse is healthy. A file that cannot be written is told and tried again. */
export async function runHealthFile(
  ports: { clock: Clock; logger: Logger },
  { path, pulse, signal }: { path: string; pulse: Pulse; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    if (pulse.isHealthy())
      try {
        await writeFile(path, `${new Date(ports.clock.now()).toISOString()}\n`)
      } catch (error) {
        ports.logger.warn({ error, path }, 'The health file could not be written')
      }
    await ports.clock.sleep(touchIntervalMs, { signal })
  }
}
