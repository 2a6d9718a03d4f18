/**
 * The child processes of the sandbox and who runs where. A program has at most one call in hand in a child, so
 * that its processor time is known and its heap has one thing to do; different programs share a child. Children
 * are started when there is work for them, and replaced when they have ended.
 */
import { availableParallelism } from 'node:os'
import { RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Ask, type CallEnd, type ChildOptions, openChild, type SandboxChild } from './child-process.ts'
import type { SandboxConfig } from './config.ts'
import { createHostCalls, type HostCalls } from './host-calls.ts'
import type { PackedItems, ProgramMessage } from './messages.ts'
import type { HostFunction } from './program.ts'

export type PoolContext = { config: SandboxConfig; clock: Clock; logger: Logger; metrics: Metrics }

export type PoolProgram = { message: ProgramMessage; host: Readonly<Record<string, HostFunction>> }

export type PoolCall = {
  program: PoolProgram
  entry: string
  items: PackedItems
  concurrencyMax: number
  mustBeFresh: boolean
  signal: AbortSignal
}

type Waiting = {
  call: PoolCall
  resolve: (end: CallEnd) => void
  reject: (reason: unknown) => void
  /** It waits no more; its signal need not be heard. */
  leave: () => void
}

export class Pool implements AsyncDisposable {
  readonly #context: PoolContext
  readonly #childrenMax: number
  readonly #children = new Set<SandboxChild>()
  readonly #alone = new Set<SandboxChild>()
  readonly #hostCalls = new Map<number, { child: SandboxChild; program: number; calls: HostCalls }>()
  readonly #waiting: Waiting[] = []
  #opening = 0
  #calls = 0
  #isClosed = false
  #infirmary: Promise<unknown> = Promise.resolve()

  constructor(context: PoolContext) {
    this.#context = context
    this.#childrenMax = context.config.childrenMax === 0 ? availableParallelism() : context.config.childrenMax
  }

  get children(): readonly SandboxChild[] {
    return [...this.#children]
  }

  get callsWaiting(): number {
    return this.#waiting.length
  }

  /** Starts the first child, so that a machine that cannot have a sandbox is told so now. */
  async open(): Promise<void> {
    this.#children.add(await openChild(this.#childOptions()))
    this.#measure()
  }

  /** Runs a call in a child with others. Throws `SANDBOX_BUSY`, and the signal's reason. */
  async run(call: PoolCall): Promise<CallEnd> {
    const { callsWaitingMax } = this.#context.config
    call.signal.throwIfAborted()
    this.#refuseIfClosed()
    if (this.#waiting.length >= callsWaitingMax)
      throw new RowmillError('SANDBOX_BUSY', `${callsWaitingMax} calls wait for the sandbox already.`)
    const { promise, resolve, reject } = Promise.withResolvers<CallEnd>()
    const abort = () => {
      const at = this.#waiting.indexOf(waiting)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      reject(call.signal.reason)
    }
    const waiting: Waiting = {
      call,
      resolve,
      reject,
      leave: () => call.signal.removeEventListener('abort', abort),
    }
    this.#waiting.push(waiting)
    call.signal.addEventListener('abort', abort, { once: true })
    this.#dispatch()
    return await promise
  }

  /** Runs a call in a child of its own, one such call at a time: who ends it is guilty beyond doubt. */
  async runAlone(call: PoolCall): Promise<CallEnd> {
    const turn = Promise.withResolvers<void>()
    const before = this.#infirmary
    this.#infirmary = turn.promise
    try {
      await before
      call.signal.throwIfAborted()
      this.#refuseIfClosed()
      const child = await openChild(this.#childOptions())
      this.#alone.add(child)
      try {
        return await this.#runIn(child, call)
      } finally {
        this.#alone.delete(child)
        await child[Symbol.asyncDispose]()
      }
    } finally {
      turn.resolve()
    }
  }

  drop(program: number): void {
    for (const child of this.#children) if (child.holds(program)) child.say({ kind: 'drop', program })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#turnAway(closedError())
    const all = [...this.#children, ...this.#alone]
    this.#children.clear()
    await Promise.all(all.map((child) => child[Symbol.asyncDispose]()))
    this.#measure()
  }

  #turnAway(reason: unknown): void {
    for (const { reject, leave } of this.#waiting.splice(0)) {
      leave()
      reject(reason)
    }
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw closedError()
  }

  #dispatch(): void {
    // One that died in the moment between its start and its first call was never missed.
    for (const child of this.#children) if (!child.isAlive) this.#children.delete(child)
    for (let at = 0; at < this.#waiting.length; ) {
      const waiting = this.#waiting[at]
      if (waiting === undefined) break
      const child = this.#childFor(waiting.call.program.message.program)
      if (child === undefined) {
        at++
        continue
      }
      this.#waiting.splice(at, 1)
      waiting.leave()
      if (child.callsInHand > 0) this.#grow()
      void this.#runIn(child, waiting.call)
        .then(waiting.resolve, waiting.reject)
        .finally(() => this.#dispatch())
    }
    if (this.#waiting.length > 0) this.#grow()
    this.#measure()
  }

  #childFor(program: number): SandboxChild | undefined {
    const { callsPerChildMax } = this.#context.config
    const cost = (child: SandboxChild) => child.callsInHand * 2 - (child.holds(program) ? 1 : 0)
    let best: SandboxChild | undefined
    for (const child of this.#children) {
      if (!child.isAlive || child.callsInHand >= callsPerChildMax || child.isBusyWith(program)) continue
      if (best === undefined || cost(child) < cost(best)) best = child
    }
    return best
  }

  /** Starts one more child if there may be more. If none can be had at all, who waits is told. */
  #grow(): void {
    if (this.#isClosed || this.#children.size + this.#opening >= this.#childrenMax) return
    this.#opening++
    const opened = openChild(this.#childOptions())
    void opened.then(
      async (child) => {
        this.#opening--
        if (this.#isClosed) return await child[Symbol.asyncDispose]()
        this.#children.add(child)
        this.#dispatch()
      },
      (error) => {
        this.#opening--
        this.#context.logger.warn({ error }, 'A child process of the sandbox could not be started.')
        if (this.#children.size === 0) this.#turnAway(error)
      },
    )
  }

  async #runIn(child: SandboxChild, call: PoolCall): Promise<CallEnd> {
    const number = ++this.#calls
    const { config, clock, metrics } = this.#context
    const { program, entry, items, concurrencyMax, mustBeFresh, signal } = call
    const { message, host } = program
    using hostCalls = createHostCalls({ program: message.name, entry, host, config, clock, metrics })
    this.#hostCalls.set(number, { child, program: message.program, calls: hostCalls })
    const cancel = () => child.say({ kind: 'cancel', call: number })
    signal.addEventListener('abort', cancel, { once: true })
    try {
      const ended = child.run(message, {
        kind: 'call',
        call: number,
        program: message.program,
        entry,
        items,
        concurrencyMax,
        nowMs: clock.now(),
        mustBeFresh,
      })
      if (signal.aborted) cancel()
      return await ended
    } finally {
      signal.removeEventListener('abort', cancel)
      this.#hostCalls.delete(number)
    }
  }

  #childOptions(): ChildOptions {
    const { config, clock, logger, metrics } = this.#context
    return {
      config,
      clock,
      onAsk: (child, ask) => void this.#answer(child, ask),
      onDeath: (child, { cause, why, printed }) => {
        const wasOurs = this.#children.delete(child)
        if (cause !== 'closed') {
          metrics.count('sandbox_child_deaths_total', 1, { cause })
          logger.warn({ pid: child.pid, cause, why, printed }, 'A child process of the sandbox ended.')
        }
        if (wasOurs) queueMicrotask(() => this.#dispatch())
      },
    }
  }

  async #answer(child: SandboxChild, { program, call, request, name, args }: Ask): Promise<void> {
    const found = this.#hostCalls.get(call)
    // A child speaks for the calls that it was given, for no others.
    if (found?.child !== child || found.program !== program) return
    const answer = await found.calls.run(name, args)
    child.say({ kind: 'settle', program, call, request, ...answer })
  }

  #measure(): void {
    const { metrics } = this.#context
    metrics.set('sandbox_children', this.#children.size)
    metrics.set('sandbox_calls_waiting', this.#waiting.length)
  }
}

export function closedError(): RowmillError {
  return new RowmillError('SANDBOX_CLOSED', 'The sandbox is closed.')
}
