/**
 * What programs ask of the host, counted and bounded here once more: the first bounds stand in the program's
 * own heap, and a heap that somebody has broken out of is not believed.
 */
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { SandboxConfig } from './config.ts'
import type { HostContext, HostFunction } from './program.ts'

export type HostAnswer = { isGood: boolean; text: string | undefined }

export type HostCallsOptions = {
  program: string
  entry: string
  host: Readonly<Record<string, HostFunction>>
  config: Pick<SandboxConfig, 'hostCallsMax' | 'hostCallsInFlightMax' | 'hostCharsMax' | 'hostTimeoutMs'>
  clock: Clock
  metrics: Metrics
}

/** The requests of one call. Closing it tells those still open that nobody waits any more. */
export interface HostCalls extends Disposable {
  run(name: string, args: string): Promise<HostAnswer>
}

export function createHostCalls(options: HostCallsOptions): HostCalls {
  const { config, metrics } = options
  const closing = new AbortController()
  let count = 0
  let inFlight = 0
  return {
    async run(name, args) {
      count++
      const found = Object.hasOwn(options.host, name) ? options.host[name] : undefined
      const refusal =
        found === undefined
          ? `There is no host function ${name.slice(0, 200)}.`
          : count > config.hostCallsMax || inFlight >= config.hostCallsInFlightMax
            ? 'The call has asked too much of the host.'
            : args.length > config.hostCharsMax
              ? 'The host function was given too much.'
              : undefined
      if (found === undefined || refusal !== undefined) {
        metrics.count('sandbox_host_calls_total', 1, { outcome: 'refused' })
        return failure('Error', refusal ?? '')
      }
      inFlight++
      try {
        const answer = await runOne(found, args, { ...options, closing: closing.signal })
        metrics.count('sandbox_host_calls_total', 1, { outcome: answer.isGood ? 'answered' : 'failed' })
        return answer
      } finally {
        inFlight--
      }
    },
    [Symbol.dispose]: () => closing.abort(new Error('The call is over.')),
  }
}

async function runOne(
  run: HostFunction,
  args: string,
  options: HostCallsOptions & { closing: AbortSignal },
): Promise<HostAnswer> {
  const { config, clock, program, entry, closing } = options
  const over = new AbortController()
  const signal = AbortSignal.any([closing, over.signal])
  const context: HostContext = { program, entry, signal }
  const late = clock.sleep(config.hostTimeoutMs, { signal }).then(() => 'late' as const)
  try {
    const answered = (async () => ({ text: await run(args, context) }))()
    answered.catch(() => undefined)
    const answer = await Promise.race([answered, late])
    if (answer === 'late')
      return failure('TimeoutError', `The host function took longer than ${config.hostTimeoutMs} ms.`)
    if ((answer.text?.length ?? 0) > config.hostCharsMax)
      return failure('RangeError', `The host function answered more than ${config.hostCharsMax} characters.`)
    return { isGood: true, text: answer.text }
  } catch (error) {
    // Its failure is the program's to handle; only its name and message cross.
    return error instanceof Error ? failure(error.name, error.message) : failure('Error', String(error))
  } finally {
    over.abort()
  }
}

function failure(name: string, message: string): HostAnswer {
  return { isGood: false, text: JSON.stringify({ name, message: message.slice(0, 16_384) }) }
}
