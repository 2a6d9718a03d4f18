import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { type SandboxConfig, sandboxConfigSchema } from '../../src/sandbox/config.ts'
import type { CallAnswer, ItemFailure, Program, ProgramItem, ProgramSpec } from '../../src/sandbox/program.ts'
import { openSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import type { Metrics } from '../../src/telemetry/metrics.ts'
import { quietTelemetry } from './quiet.ts'

const { signal } = new AbortController()

/** Small bounds, so that a test reaches them soon; the time of silence is long, for loaded machines. */
const smallBounds = {
  childrenMax: 1,
  loadTimeoutMs: 1500,
  itemCpuMs: 250,
  itemWaitMs: 1000,
  beatMs: 50,
  heapMegabytesMax: 32,
  resultCharsMax: 100_000,
  answerCharsMax: 300_000,
  logCharsMax: 2000,
  lineCharsMax: 500,
  hostCallsMax: 50,
  hostCallsInFlightMax: 20,
  hostCharsMax: 10_000,
  hostTimeoutMs: 60_000,
} as const

export async function openTestSandbox(
  config: Partial<SandboxConfig> = {},
): Promise<Sandbox & { metrics: Metrics }> {
  const telemetry = quietTelemetry()
  const sandbox = await openSandbox({
    ...telemetry,
    config: sandboxConfigSchema.parse({ ...smallBounds, ...config }),
    clock: createSystemClock(),
  })
  return { ...sandbox, metrics: telemetry.metrics }
}

/** Makes the bridge a global, as hostile a library as there can be. */
export const openBridge = '(bridge) => { globalThis.bridge = bridge }'

export async function loadSource(
  sandbox: Sandbox,
  source: string,
  more: Partial<ProgramSpec> = {},
): Promise<Program> {
  return await sandbox.load({ name: 'plugin.js', source, library: openBridge, ...more }, { signal })
}

export const itemsOf = (values: readonly unknown[]): ProgramItem[] =>
  values.map((value, index) => ({ text: JSON.stringify(value), nowMs: 1_000_000_000_000, seed: index }))

export async function callWith(
  program: Program,
  values: readonly unknown[],
  options: { entry?: string; concurrencyMax?: number } = {},
): Promise<CallAnswer> {
  const { entry = 'run', ...rest } = options
  return await program.call(entry, itemsOf(values), { signal, ...rest })
}

/** Of each item its value, or `undefined`. */
export function valuesOf({ results }: CallAnswer): unknown[] {
  return results.map((result) =>
    result.kind === 'value' && result.text !== undefined ? JSON.parse(result.text) : undefined,
  )
}

/** Of each item the kind of its failure, or `value`. */
export function kindsOf({ results }: CallAnswer): string[] {
  return results.map((result) => (result.kind === 'value' ? 'value' : result.failure.kind))
}

export function failureOf({ results }: CallAnswer, index = 0): ItemFailure {
  const result = results[index]
  if (result?.kind !== 'failed') throw new Error(`Item ${index} has not failed.`)
  return result.failure
}
