/**
 * Plugins written for PostHog: JavaScript or TypeScript that changes, drops or watches events.
 *
 * What is here runs a plugin over events before anybody deploys it: the real sandbox with its limits, PostHog's
 * `meta` and globals, and nothing that lasts. An event that the plugin fails on stays as it was, and the error is
 * told with its place in the author's source.
 */
import { isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import type { CallAnswer, ItemFailure, LogLine, Program } from '../sandbox/program.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { type Change, compareEvents } from './compare-events.ts'
import { pluginLibrary } from './library.ts'
import { findPlace, type Place, quoteLine } from './place.ts'
import { completeEvent, type PluginEvent } from './plugin-event.ts'
import { createRequests, type PluginRequest, type PluginRequests, type RequestsOptions } from './requests.ts'
import type { PluginSource } from './source.ts'
import { transpilePlugin } from './transpile.ts'

export type TrialOptions = Omit<RequestsOptions, 'clock'> & {
  source: PluginSource
  events: readonly (Readonly<Record<string, unknown>> & { event: string })[]
  sandbox: Sandbox
  clock: Clock
  random: Random
  signal: AbortSignal
}

/** `place` if the error has one in the author's source. */
export type PluginFailure = {
  kind: ItemFailure['kind']
  name: string
  message: string
  place: Place | undefined
}

/** What one run of one function did and cost. */
export type StepReport = {
  failure: PluginFailure | undefined
  logs: LogLine[]
  linesLost: number
  requests: PluginRequest[]
  cpuMs: number
  wallMs: number
}

export type EventReport = StepReport & {
  /** Its name before. */
  event: string
  outcome: 'changed' | 'unchanged' | 'dropped' | 'failed'
  changes: Change[]
  /** As it goes on; null if it is dropped. */
  after: Record<string, unknown> | null
}

export type TrialReport = { plugin: string; setup: StepReport; events: EventReport[] }

/**
 * Runs the setup, then each event by itself in order. Without a setup that succeeds no event is run. Throws
 * `PLUGIN_INVALID` for a plugin that does not load or has nothing for events, what the sandbox throws, and the
 * signal's reason.
 */
export async function runTrial(options: TrialOptions): Promise<TrialReport> {
  const { source, signal, events } = options
  const requests = createRequests(options)
  await using program = await load(options, requests)
  const trial = { ...options, program, requests }
  await refuseWithoutEvents(program, source, signal)
  const setup = await runStep(trial, { entry: 'setUp', value: {}, seed: 0 })
  const report: TrialReport = { plugin: source.name, setup: setup.step, events: [] }
  if (setup.step.failure !== undefined) return report
  for (const [index, given] of events.entries())
    report.events.push(await runEvent(trial, completeEvent(given, options), index + 1))
  return report
}

type Trial = TrialOptions & { program: Program; requests: PluginRequests }

async function load({ source, sandbox, signal }: TrialOptions, { host }: PluginRequests): Promise<Program> {
  const text = transpilePlugin(source)
  try {
    return await sandbox.load({ name: source.name, source: text, library: pluginLibrary, host }, { signal })
  } catch (cause) {
    if (!isRowmillError(cause, 'SANDBOX_PROGRAM_INVALID')) throw cause
    const place = findPlace(source, String(cause.details.stack ?? ''))
    const where = place === undefined ? '' : ` at ${quoteLine(source, place.line)}`
    throw new RowmillError('PLUGIN_INVALID', `The plugin ${source.name} does not load${where}.`, { cause })
  }
}

async function refuseWithoutEvents(
  program: Program,
  source: PluginSource,
  signal: AbortSignal,
): Promise<void> {
  const answer = await program.call('describe', [{ text: '0', nowMs: 0, seed: 0 }], { signal })
  const { value } = resultOf(answer)
  const names: unknown[] = Array.isArray(value) ? value : []
  if (names.includes('processEvent') || names.includes('processEventBatch')) return
  const others = names.length === 0 ? 'It has no function that plugins have' : `It has ${names.join(', ')}`
  throw new RowmillError(
    'PLUGIN_INVALID',
    `The plugin ${source.name} has neither processEvent nor processEventBatch. ${others}.`,
  )
}

async function runEvent(trial: Trial, before: PluginEvent, seed: number): Promise<EventReport> {
  const { step, value } = await runStep(trial, { entry: 'processEvent', value: before, seed })
  const { event } = before
  const failed = (failure: PluginFailure, after: Record<string, unknown>): EventReport => ({
    ...step,
    event,
    failure,
    outcome: 'failed',
    changes: compareEvents(before, after),
    after,
  })
  if (step.failure !== undefined) return failed(step.failure, before)
  if (value === undefined || value === null)
    return { ...step, event, outcome: 'dropped', changes: [], after: null }
  if (!isRecord(value))
    return failed(ownFailure('TypeError', `It answered ${typeName(value)}, not an event.`), before)
  if (value.team_id !== before.team_id)
    return failed(
      ownFailure(
        'IllegalOperationError',
        'It changed team_id, which no plugin may. The change is taken back.',
      ),
      { ...value, team_id: before.team_id },
    )
  const changes = compareEvents(before, value)
  return { ...step, event, outcome: changes.length === 0 ? 'unchanged' : 'changed', changes, after: value }
}

async function runStep(
  { program, requests, source, clock, signal }: Trial,
  { entry, value, seed }: { entry: string; value: Record<string, unknown>; seed: number },
): Promise<{ step: StepReport; value: unknown }> {
  const nowMs = typeof value.now === 'string' ? Date.parse(value.now) : clock.now()
  const answer = await program.call(entry, [{ text: JSON.stringify(value), nowMs, seed }], { signal })
  const { logs, linesLost, stats } = answer
  const { failure, value: answered } = resultOf(answer)
  const step = {
    failure: failure === undefined ? undefined : { ...failure, place: findPlace(source, failure.stack) },
    logs,
    linesLost,
    requests: requests.take(),
    cpuMs: stats.cpuMs,
    wallMs: stats.wallMs,
  }
  return { step, value: answered }
}

function resultOf({ results: [result] }: CallAnswer): { failure: ItemFailure | undefined; value: unknown } {
  if (result?.kind === 'failed') return { failure: result.failure, value: undefined }
  return { failure: undefined, value: result?.text === undefined ? undefined : JSON.parse(result.text) }
}

function ownFailure(name: string, message: string): PluginFailure {
  return { kind: 'thrown', name, message, place: undefined }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function typeName(value: unknown): string {
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
