/**
 * Runs code that nobody here has written: plugins and their like.
 *
 * What holds:
 * - A program has no authority of its own. It sees the language, the items that it is given, a console, and the
 *   host functions that were offered to it by name. Values cross as JSON texts, never as objects.
 * - It runs in a heap of its own (isolated-vm) in a child process that runs nothing of Rowmill's. Heaps of
 *   several programs share a child, and share nothing else.
 * - Whatever it does costs only itself. Time, processor time, memory, output, requests to the host are bounded;
 *   an item beyond a bound has a written reason, the other items of its batch have their answers.
 * - A native call can crash or wedge a process in spite of all this. Then the child is killed and replaced; the
 *   calls that it had in hand run again, the guilty one alone. A program that does it again and again is paused.
 * - The same item gives the same answer: time and chance are part of the item.
 *
 * The addon has binaries for Linux on x64 and arm64, for macOS on arm64 and for Windows on x64. Elsewhere the sandbox is
 * refused with `SANDBOX_UNAVAILABLE`, and nothing else of Rowmill needs it.
 */
import { RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { runBatch } from './batch.ts'
import type { SandboxConfig } from './config.ts'
import { type Crashes, createCrashes } from './crashes.ts'
import type { AnsweredMessage } from './messages.ts'
import { packItems, thrownOf } from './pack.ts'
import { Pool, type PoolCall, type PoolProgram } from './pool.ts'
import type { CallAnswer, CallOptions, Program, ProgramItem, ProgramSpec, ProgramState } from './program.ts'

export type SandboxContext = { config: SandboxConfig; clock: Clock; logger: Logger; metrics: Metrics }

export type SandboxStats = {
  programs: number
  callsWaiting: number
  children: { pid: number | undefined; callsInHand: number; residentBytes: number }[]
}

export interface Sandbox extends AsyncDisposable {
  /**
   * Compiles a program, runs it once, and its setup if it has one. Throws `SANDBOX_PROGRAM_INVALID` (details:
   * name and stack of what was thrown), `SANDBOX_SETUP_FAILED`, `SANDBOX_BUSY`, and the signal's reason.
   */
  load(spec: ProgramSpec, options: { signal: AbortSignal }): Promise<Program>
  stats(): SandboxStats
}

/** Starts one child process; more come with the work. Throws `SANDBOX_UNAVAILABLE` on a machine that cannot. */
export async function openSandbox(context: SandboxContext): Promise<Sandbox> {
  const pool = new Pool(context)
  try {
    await pool.open()
  } catch (error) {
    await pool[Symbol.asyncDispose]()
    throw error
  }
  const programs = new Set<LoadedProgram>()
  let number = 0
  return {
    async load(spec, { signal }) {
      const program = new LoadedProgram({
        context,
        pool,
        spec,
        number: ++number,
        onClosed: () => programs.delete(program),
      })
      try {
        await program.load(signal)
      } catch (error) {
        await program[Symbol.asyncDispose]()
        throw error
      }
      programs.add(program)
      return program
    },
    stats: () => ({
      programs: programs.size,
      callsWaiting: pool.callsWaiting,
      children: pool.children.map(({ pid, callsInHand, residentBytes }) => ({
        pid,
        callsInHand,
        residentBytes,
      })),
    }),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  }
}

type LoadedOptions = {
  context: SandboxContext
  pool: Pool
  spec: ProgramSpec
  number: number
  onClosed: () => void
}

class LoadedProgram implements Program {
  entries: readonly string[] = []
  readonly #options: LoadedOptions
  readonly #program: PoolProgram
  readonly #crashes: Crashes
  readonly #calls = new Set<Promise<unknown>>()
  #isClosed = false

  constructor(options: LoadedOptions) {
    this.#options = options
    const { spec, number, context } = options
    const { name, source, library, setup } = spec
    this.#program = {
      host: spec.host ?? {},
      message: {
        kind: 'program',
        program: number,
        name,
        source,
        library,
        heapMegabytesMax: spec.heapMegabytesMax ?? context.config.heapMegabytesMax,
        setup: setup === undefined ? undefined : { entry: setup.entry, items: packItems([setup.item]) },
      },
    }
    this.#crashes = createCrashes(context.clock, context.config, (reason) => {
      context.metrics.count('sandbox_programs_paused_total')
      context.logger.error({ program: name, reason }, 'A program of the sandbox is paused.')
    })
  }

  get name(): string {
    return this.#options.spec.name
  }

  get state(): ProgramState {
    return this.#crashes.state
  }

  /** A call without items: it makes the heap ready and does nothing else. */
  async load(signal: AbortSignal): Promise<void> {
    const { pool, context } = this.#options
    const { programCharsMax } = context.config
    if (this.#program.message.source.length > programCharsMax)
      throw this.#invalid(`has more than ${programCharsMax} characters.`)
    const call: PoolCall = {
      program: this.#program,
      entry: '',
      items: packItems([]),
      concurrencyMax: 1,
      mustBeFresh: false,
      signal,
    }
    let end = await pool.run(call)
    signal.throwIfAborted()
    if (end.kind === 'died') end = await pool.runAlone(call)
    signal.throwIfAborted()
    if (end.kind === 'died') throw this.#invalid(`ended its process while it was loaded, which ${end.why}.`)
    if (end.cause !== 'done') throw this.#refused(end)
    const names: unknown = JSON.parse(end.entries)
    if (Array.isArray(names)) this.entries = names.filter((name) => typeof name === 'string')
  }

  async call(entry: string, items: readonly ProgramItem[], options: CallOptions): Promise<CallAnswer> {
    const { context, pool } = this.#options
    const { callItemsMax, callCharsMax } = context.config
    if (this.#isClosed) throw new RowmillError('SANDBOX_CLOSED', `The program ${this.name} is closed.`)
    const chars = items.reduce((sum, { text }) => sum + text.length, 0)
    if (items.length > callItemsMax || chars > callCharsMax)
      throw new RowmillError(
        'SANDBOX_INPUT_TOO_LARGE',
        `A call of ${items.length} items with ${chars} characters is more than ${callItemsMax} items or ${callCharsMax} characters.`,
      )
    const answer = runBatch({
      ...options,
      pool,
      program: this.#program,
      crashes: this.#crashes,
      config: context.config,
      monotonic: () => context.clock.monotonic(),
      entry,
      items,
    })
    this.#calls.add(answer)
    try {
      return this.#count(await answer)
    } finally {
      this.#calls.delete(answer)
    }
  }

  resume(): void {
    this.#crashes.forget()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.allSettled(this.#calls)
    this.#options.pool.drop(this.#program.message.program)
    this.#options.onClosed()
  }

  #count(answer: CallAnswer): CallAnswer {
    const { metrics } = this.#options.context
    metrics.observe('sandbox_call_seconds', answer.stats.wallMs / 1000)
    const outcomes = Map.groupBy(answer.results, (result) =>
      result.kind === 'value' ? 'value' : result.failure.kind,
    )
    for (const [outcome, { length }] of outcomes) metrics.count('sandbox_items_total', length, { outcome })
    return answer
  }

  #refused(end: AnsweredMessage): RowmillError {
    if (end.thrown === '') return this.#invalid(`was stopped while it was loaded: ${end.cause}.`)
    const { name, message, stack } = thrownOf(end.thrown)
    const details = { name, stack }
    if (end.cause === 'setup')
      return new RowmillError('SANDBOX_SETUP_FAILED', `The setup of ${this.name} failed: ${message}`, {
        details,
      })
    return new RowmillError('SANDBOX_PROGRAM_INVALID', `The program ${this.name} does not load: ${message}`, {
      details,
    })
  }

  #invalid(what: string): RowmillError {
    return new RowmillError('SANDBOX_PROGRAM_INVALID', `The program ${this.name} ${what}`)
  }
}
