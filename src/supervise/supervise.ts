/**
 * Child processes that Rowmill depends on: started, waited for, watched, started again, stopped.
 *
 * What holds:
 * - A child is `ready` only after `waitReady` has said so; what `waitReady` answered is `current()` until
 *   the child ends. After an end there is no current value until the next child is ready.
 * - A child that ends, or is not ready within `readyWithinMs`, is started again after a growing delay.
 * - Until a child has been ready once, the engine can fail for good: after `restart.attemptsMax` starts
 *   within `restart.windowMs`, or at once by a `RowmillError` that is not retryable, thrown by `start` or
 *   `waitReady`, and by a program that is missing or may not be executed. Everybody who waits gets
 *   `ENGINE_FAILED`; its cause says how the last child ended and what it printed.
 * - After that it is never given up, because what ends it may pass: a disk that is full gets room again.
 * - A child leads its own process group, so that Ctrl-C on a terminal reaches Rowmill alone, which then
 *   stops its children in order. No handler for the whole process is installed: when Rowmill itself is
 *   killed, a child with an IPC channel sees it close, and others are found by the next start.
 *
 * States: starting, ready, waiting, starting, and so on; failed and stopped are final.
 */
import type { ChildProcess } from 'node:child_process'
import { isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { type RetryPolicy, retryDelay } from '../std/retry.ts'
import type { Logger } from '../telemetry/logger.ts'
import {
  type Exit,
  type RunningChild,
  type StopRequest,
  type SupervisedCommand,
  startChild,
} from './child.ts'
import { createLineLog, type LineLevel, type LineLog } from './line-log.ts'

export type SupervisedState = 'starting' | 'ready' | 'waiting' | 'failed' | 'stopped'

export type SupervisedSpec<Ready> = {
  /** Names the child in logs and errors. */
  name: string
  /** Called before each start. What has to be cleaned up first belongs here. */
  start: (signal: AbortSignal) => SupervisedCommand | Promise<SupervisedCommand>
  /** Resolves when the child can be used. `signal` aborts when the child ends, the time is up or all stops. */
  waitReady: (child: ChildProcess, signal: AbortSignal) => Promise<Ready>
  readyWithinMs: number
  stop: StopRequest
  restart: RetryPolicy & { windowMs: number }
  onState?: (state: SupervisedState) => void
  /** At which level a line that the child printed is logged; `undefined` leaves it out. Default: `info`. */
  lineLevel?: (line: string) => LineLevel | undefined
}

export interface Supervised<Ready> extends AsyncDisposable {
  readonly state: SupervisedState
  /** Of the child that runs now. */
  readonly pid: number | undefined
  /** What `waitReady` answered for the child that runs now; `undefined` while none is ready. */
  current(): Ready | undefined
  /** Waits for a ready child. Fails with `ENGINE_FAILED` when there will be none, or with the signal's reason. */
  ready(signal?: AbortSignal): Promise<Ready>
  /** Kills the child that runs now, without grace; it is started again. For a child that no longer answers. */
  kill(reason: string): void
}

export type SuperviseContext = { clock: Clock; random: Random; logger: Logger }

/**
 * Starts the child and resolves when it is ready. Fails with `ENGINE_FAILED`, leaving no child behind; an
 * aborted `options.signal` ends the start likewise, with the signal's reason.
 */
export async function openSupervised<Ready>(
  context: SuperviseContext,
  spec: SupervisedSpec<Ready>,
  options: { signal?: AbortSignal } = {},
): Promise<Supervised<Ready>> {
  const supervisor = new Supervisor(context, spec)
  try {
    await supervisor.ready(options.signal)
  } catch (error) {
    await supervisor[Symbol.asyncDispose]()
    throw error
  }
  return supervisor
}

/** Why a child is no longer there. `isFinal`: starting it again would not help. */
type End = { error: unknown; isFinal: boolean }

class Supervisor<Ready> implements Supervised<Ready> {
  readonly #context: SuperviseContext
  readonly #spec: SupervisedSpec<Ready>
  readonly #stopping = new AbortController()
  readonly #stopped = Promise.withResolvers<End>()
  readonly #running: Promise<void>
  #startsMs: number[] = []
  #wasReady = false
  #state: SupervisedState = 'starting'
  #changed = Promise.withResolvers<void>()
  #child: RunningChild | undefined
  #current: { value: Ready } | undefined
  #failure: RowmillError | undefined

  constructor(context: SuperviseContext, spec: SupervisedSpec<Ready>) {
    this.#context = { ...context, logger: context.logger.child({ child: spec.name }) }
    this.#spec = spec
    this.#running = this.#run()
  }

  get state(): SupervisedState {
    return this.#state
  }

  get pid(): number | undefined {
    return this.#child?.process.pid
  }

  current(): Ready | undefined {
    return this.#current?.value
  }

  async ready(signal?: AbortSignal): Promise<Ready> {
    const aborted = Promise.withResolvers<void>()
    const abort = () => aborted.resolve()
    signal?.addEventListener('abort', abort, { once: true })
    try {
      for (;;) {
        signal?.throwIfAborted()
        if (this.#current !== undefined) return this.#current.value
        if (this.#failure !== undefined) throw this.#failure
        if (this.#stopping.signal.aborted)
          throw new RowmillError('ENGINE_FAILED', `${this.#spec.name} has been stopped.`)
        await Promise.race([this.#changed.promise, aborted.promise])
      }
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  kill(reason: string): void {
    if (this.#child === undefined) return
    this.#context.logger.warn({ pid: this.pid, reason }, 'A child process is killed.')
    this.#child.process.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    this.#stopped.resolve({ error: undefined, isFinal: false })
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, random, logger } = this.#context
    const { restart } = this.#spec
    while (!this.#stopping.signal.aborted) {
      this.#setState('starting')
      const nowMs = clock.monotonic()
      this.#startsMs = [...this.#startsMs.filter((at) => at > nowMs - restart.windowMs), nowMs]
      const end = await this.#runChild()
      if (this.#stopping.signal.aborted) break
      const starts = this.#startsMs.length
      const isOften = starts >= restart.attemptsMax
      if (!this.#wasReady && (end.isFinal || isOften)) return this.#fail(end)
      const delayMs = retryDelay(restart, starts, random.next())
      const level = isOften || end.isFinal ? 'error' : 'warn'
      logger[level]({ error: end.error, starts, delayMs }, 'A child process ended and is started again.')
      this.#setState('waiting')
      await clock.sleep(delayMs, { signal: this.#stopping.signal })
    }
    this.#setState('stopped')
  }

  #fail(end: End): void {
    const { name, restart } = this.#spec
    this.#failure =
      end.isFinal && isRowmillError(end.error)
        ? end.error
        : new RowmillError(
            'ENGINE_FAILED',
            end.isFinal
              ? `${name} cannot be started.`
              : `${name} did not stay alive: ${this.#startsMs.length} starts within ${restart.windowMs} ms.`,
            { cause: end.error },
          )
    this.#context.logger.error({ error: this.#failure }, 'A child process has failed for good.')
    this.#setState('failed')
  }

  /** One child from its start until it is gone. */
  async #runChild(): Promise<End> {
    const ended = new AbortController()
    const signal = AbortSignal.any([ended.signal, this.#stopping.signal])
    try {
      const command = await this.#spec.start(signal)
      if (signal.aborted) return { error: undefined, isFinal: false }
      const lines = createLineLog(this.#context, this.#spec.lineLevel)
      const child = startChild(this.#context, command, lines)
      this.#child = child
      try {
        return await this.#watch({ child, lines, signal })
      } finally {
        ended.abort()
        this.#current = undefined
        await child.stop(this.#spec.stop)
        this.#child = undefined
      }
    } catch (error) {
      return { error, isFinal: isRowmillError(error) && !error.entry.retry }
    } finally {
      ended.abort()
    }
  }

  /** Waits until the child is ready, then until it ends. Resolves early when all stops. */
  async #watch(watch: { child: RunningChild; lines: LineLog; signal: AbortSignal }): Promise<End> {
    const { name, readyWithinMs, waitReady } = this.#spec
    const { clock, logger } = this.#context
    const { child, lines } = watch
    const startedAtMs = clock.monotonic()
    const starting = new AbortController()
    const ended = child.exited.then((exit) => ({ end: endOf(name, exit, lines) }))
    const stopped = this.#stopped.promise.then((end) => ({ end }))
    const late = clock.sleep(readyWithinMs, { signal: starting.signal }).then(() => ({
      end: { error: withLines(`${name} was not ready within ${readyWithinMs} ms`, lines), isFinal: false },
    }))
    try {
      const signal = AbortSignal.any([watch.signal, starting.signal])
      const ready = waitReady(child.process, signal).then((value) => ({ value }))
      const first = await Promise.race([ended, stopped, ready, late])
      if ('end' in first) return first.end
      this.#current = first
      this.#wasReady = true
    } catch (error) {
      // A child that dies makes waiting fail; its end explains more than the failed wait.
      if (child.process.exitCode === null && child.process.signalCode === null) throw error
      return (await ended).end
    } finally {
      starting.abort()
    }
    const readyMs = Math.round(clock.monotonic() - startedAtMs)
    logger.info({ pid: child.process.pid, readyMs }, 'A child process is ready.')
    this.#setState('ready')
    return (await Promise.race([ended, stopped])).end
  }

  #setState(state: SupervisedState): void {
    this.#state = state
    this.#spec.onState?.(state)
    const changed = this.#changed
    this.#changed = Promise.withResolvers()
    changed.resolve()
  }
}

function endOf(name: string, exit: Exit, lines: LineLog): End {
  if (exit.error !== undefined) {
    const code = 'code' in exit.error ? String(exit.error.code) : ''
    return { error: exit.error, isFinal: ['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR', 'ENOEXEC'].includes(code) }
  }
  const how = exit.signal === null ? `code ${exit.code}` : `signal ${exit.signal}`
  return { error: withLines(`${name} ended with ${how}`, lines), isFinal: false }
}

function withLines(sentence: string, lines: LineLog): RowmillError {
  const last = lines.last()
  const message = last.length === 0 ? `${sentence}.` : `${sentence}; it last printed: ${last.join(' | ')}`
  return new RowmillError('ENGINE_FAILED', message)
}
