/**
 * A child process of the sandbox as the program sees it. It takes calls of different programs at once and may
 * end at any moment, whatever a program does to it: how it ended and what was in hand is an answer, not an
 * error. A child that is silent, that outgrows its memory, or that has lost control of an isolate is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire, getCompileCacheDir } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { SandboxConfig } from './config.ts'
import type { AnsweredMessage, CallMessage, FromChild, ProgramMessage, ToChild } from './messages.ts'

export type DeathCause = 'isolate' | 'silent' | 'memory' | 'crash' | 'closed'
export type ChildDeath = {
  kind: 'died'
  cause: DeathCause
  /** Part of a sentence: `ended with signal SIGSEGV`. */
  why: string
  /** Items of the call that were in hand when it was last heard of. */
  hands: number[]
  /** Whether the child itself named this call as the one that ended it. */
  isNamed: boolean
}
export type CallEnd = AnsweredMessage | ChildDeath
export type Ask = Extract<FromChild, { kind: 'ask' }>

export type ChildOptions = {
  config: SandboxConfig
  clock: Clock
  onAsk: (child: SandboxChild, ask: Ask) => void
  onDeath: (child: SandboxChild, death: { cause: DeathCause; why: string; printed: string }) => void
}

export interface SandboxChild extends AsyncDisposable {
  readonly pid: number | undefined
  readonly isAlive: boolean
  readonly callsInHand: number
  readonly residentBytes: number
  /** Whether a program has been given to it. */
  holds(program: number): boolean
  /** Whether a program has a call in hand: one at a time. */
  isBusyWith(program: number): boolean
  run(program: ProgramMessage, call: CallMessage): Promise<CallEnd>
  say(message: ToChild): void
}

/** Silence is looked for this often before it counts: a machine that stood still is not held against a child. */
const looksPerWedge = 4
const printedCharsMax = 2000
const childFile = fileURLToPath(new URL('./child/child.ts', import.meta.url))

/** Throws `SANDBOX_UNAVAILABLE` if the child does not start, or cannot make an isolate on this machine. */
export async function openChild(options: ChildOptions): Promise<SandboxChild> {
  const child = new Child(options)
  try {
    await child.untilReady()
  } catch (error) {
    await child[Symbol.asyncDispose]()
    throw error
  }
  return child
}

type InHand = { call: CallMessage; hands: number[]; resolve: (end: CallEnd) => void }
type Doom = { cause: DeathCause; why: string; call: number; hands: number[] }

class Child implements SandboxChild {
  isAlive = true
  residentBytes = 0
  readonly #options: ChildOptions
  readonly #process: ChildProcess
  readonly #held = new Set<number>()
  readonly #calls = new Map<number, InHand>()
  readonly #exited = Promise.withResolvers<void>()
  readonly #closing = new AbortController()
  readonly #started = Promise.withResolvers<string | undefined>()
  #beats = 0
  #printed = ''
  #doom: Doom | undefined

  constructor(options: ChildOptions) {
    this.#options = options
    this.#process = spawn(process.execPath, childArguments(), {
      env: { TZ: 'UTC', LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
      detached: true,
    })
    // Programs have no way to print here; what comes is the runtime's own, and explains an end.
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#printed = (this.#printed + text).slice(-printedCharsMax)
    })
    this.#process.on('message', (message: FromChild) => {
      try {
        this.#hear(message)
      } catch (error) {
        // Whoever may have broken out of a heap can say anything: a child that talks nonsense is not kept.
        this.#die('crash', `said what cannot be understood: ${error}`)
      }
    })
    this.#process.on('error', (error) => {
      this.#die('crash', `could not be spoken to: ${error.message}`)
      if (this.#process.pid === undefined) this.#ended()
    })
    this.#process.on('exit', (code, signal) => {
      this.#die('crash', signal === null ? `ended with exit code ${code}` : `ended with signal ${signal}`)
      this.#ended()
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get callsInHand(): number {
    return this.#calls.size
  }

  holds(program: number): boolean {
    return this.#held.has(program)
  }

  isBusyWith(program: number): boolean {
    for (const { call } of this.#calls.values()) if (call.program === program) return true
    return false
  }

  async untilReady(): Promise<void> {
    const { config, clock } = this.#options
    this.say(openMessage(config))
    const timer = new AbortController()
    const { startTimeoutMs } = config
    const late = clock
      .sleep(startTimeoutMs, { signal: timer.signal })
      .then(() => `did not start within ${startTimeoutMs} ms`)
    const ended = this.#exited.promise.then(() => `${this.#doom?.why}: ${this.#printed}`)
    const problem = await Promise.race([this.#started.promise, late, ended])
    timer.abort()
    if (problem !== undefined)
      throw new RowmillError('SANDBOX_UNAVAILABLE', `A child process of the sandbox ${problem}.`)
    void this.#watch()
  }

  run(program: ProgramMessage, call: CallMessage): Promise<CallEnd> {
    return new Promise((resolve) => {
      this.#calls.set(call.call, { call, hands: [], resolve })
      if (!this.isAlive) return this.#ended()
      if (!this.#held.has(program.program)) {
        this.#held.add(program.program)
        this.say(program)
      }
      this.say(call)
    })
  }

  say(message: ToChild): void {
    if (message.kind === 'drop') this.#held.delete(message.program)
    if (this.isAlive && this.#process.connected) this.#process.send(message, (error) => this.#unsaid(error))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#die('closed', 'was closed')
    await this.#exited.promise
  }

  /** A child that has just died is heard to be dead at once; nothing else makes a message fail. */
  #unsaid(error: Error | null): void {
    if (error !== null) this.#die('crash', `could not be spoken to: ${error.message}`)
  }

  #hear(message: FromChild): void {
    if (message.kind === 'ready') this.#started.resolve(undefined)
    else if (message.kind === 'unavailable')
      this.#started.resolve(`cannot make an isolate on this machine: ${message.message}`)
    else if (message.kind === 'ask') this.#options.onAsk(this, message)
    else if (message.kind === 'doomed') {
      this.#doom = { cause: 'isolate', why: message.why, call: message.call, hands: message.hands }
      this.#process.kill('SIGKILL')
    } else if (message.kind === 'answered') {
      const inHand = this.#calls.get(message.call)
      this.#calls.delete(message.call)
      inHand?.resolve(message)
    } else this.#beat(message)
  }

  #beat({ residentBytes, hands }: Extract<FromChild, { kind: 'beat' }>): void {
    this.#beats++
    this.residentBytes = residentBytes
    for (const [call, item] of hands) {
      const inHand = this.#calls.get(call)
      if (inHand !== undefined) inHand.hands = item < 0 ? [] : [item]
    }
    const { childMegabytesMax } = this.#options.config
    if (residentBytes > childMegabytesMax * 2 ** 20)
      this.#die('memory', `needed more memory than ${childMegabytesMax} MiB`)
  }

  async #watch(): Promise<void> {
    const { clock, config } = this.#options
    let seen = -1
    for (let looks = 0; looks < looksPerWedge; looks++) {
      await clock.sleep(config.wedgeMs / looksPerWedge, { signal: this.#closing.signal })
      if (this.#closing.signal.aborted) return
      if (this.#beats !== seen) looks = -1
      seen = this.#beats
    }
    this.#die('silent', `said nothing for ${config.wedgeMs} ms`)
  }

  #die(cause: DeathCause, why: string): void {
    this.#doom ??= { cause, why, call: -1, hands: [] }
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGKILL')
  }

  /** It is gone. Everything that it had in hand is answered so. */
  #ended(): void {
    const doom: Doom = this.#doom ?? { cause: 'crash', why: 'is gone', call: -1, hands: [] }
    if (this.isAlive) {
      this.isAlive = false
      this.#closing.abort()
      this.#options.onDeath(this, { ...doom, printed: this.#printed })
    }
    for (const [number, { hands, resolve }] of this.#calls) {
      const isNamed = number === doom.call
      const { cause, why } = doom
      resolve({ kind: 'died', cause, why, hands: isNamed ? doom.hands : hands, isNamed })
    }
    this.#calls.clear()
    this.#exited.resolve()
  }
}

/** A child may read its own program and load the one addon, nothing else: not write, not start processes. */
function childArguments(): string[] {
  const require = createRequire(import.meta.url)
  const addon = dirname(require.resolve('isolated-vm/package.json'))
  const loader = dirname(require.resolve('node-gyp-build', { paths: [addon] }))
  const own = fileURLToPath(new URL('.', import.meta.url))
  const root = join(own, '..', '..', 'package.json')
  const cache = getCompileCacheDir()
  const readable = [own, root, addon, loader, '/etc/alpine-release', ...(cache === undefined ? [] : [cache])]
  return [
    '--no-node-snapshot',
    '--permission',
    '--allow-addons',
    '--disable-warning=SecurityWarning',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    childFile,
  ]
}

function openMessage(config: SandboxConfig): ToChild {
  const { isolatesPerChildMax, loadTimeoutMs, itemCpuMs, callCpuMs, beatMs, wedgeMs, ...rest } = config
  const { sliceMs, itemWaitMs, resultCharsMax, answerCharsMax, errorCharsMax, logCharsMax, lineCharsMax } =
    rest
  const { hostCallsMax, hostCallsInFlightMax, hostCharsMax } = rest
  const results = { resultCharsMax, answerCharsMax, errorCharsMax, logCharsMax, lineCharsMax }
  return {
    kind: 'open',
    inner: { sliceMs, itemWaitMs, ...results, hostCallsMax, hostCallsInFlightMax, hostCharsMax },
    outer: { isolatesPerChildMax, loadTimeoutMs, itemCpuMs, callCpuMs, beatMs, wedgeMs },
  }
}
