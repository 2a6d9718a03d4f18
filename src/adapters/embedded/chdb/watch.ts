/**
 * A host that hangs answers nobody and does not end, so nobody would start it again: this asks it from time to
 * time, and kills it when it has been silent for too long. The supervisor starts the next one.
 */

import type { Clock } from '../../../ports/clock.ts'
import type { SupervisedState } from '../../../supervise/supervise.ts'

export type Watched = { readonly state: SupervisedState; kill(reason: string): void }

/** Asks until the signal aborts. `ask` resolves when the host has answered and rejects when it has not. */
export async function watchHost(
  ports: { clock: Clock; host: Watched; ask: (signal: AbortSignal) => Promise<void> },
  config: { pingIntervalMs: number; silenceMsMax: number },
  options: { signal: AbortSignal },
): Promise<void> {
  const { clock, host } = ports
  let heardAtMs = clock.monotonic()
  for (;;) {
    await clock.sleep(config.pingIntervalMs, options)
    if (options.signal.aborted) return
    const hasAnswered = host.state === 'ready' ? await isHeard(ports, config, options) : true
    if (hasAnswered || options.signal.aborted) heardAtMs = clock.monotonic()
    else if (clock.monotonic() - heardAtMs >= config.silenceMsMax) {
      host.kill(`It has not answered for ${config.silenceMsMax} ms.`)
      heardAtMs = clock.monotonic()
    }
  }
}

async function isHeard(
  ports: { clock: Clock; ask: (signal: AbortSignal) => Promise<void> },
  config: { pingIntervalMs: number },
  options: { signal: AbortSignal },
): Promise<boolean> {
  const over = new AbortController()
  const late = ports.clock
    .sleep(config.pingIntervalMs, { signal: AbortSignal.any([over.signal, options.signal]) })
    .then(() => false)
  const asked = ports.ask(over.signal).then(
    () => true,
    // A refused or broken connection is the supervisor's to see; here only an answer counts.
    () => false,
  )
  const isAnswered = await Promise.race([asked, late])
  over.abort()
  return isAnswered
}
