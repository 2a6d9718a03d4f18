/**
 * A child process of the sandbox. It holds a heap for each program that it was asked to run, gives each its
 * calls, and says at every beat that it is alive and what is in hand. It has an empty environment, may not
 * write, start processes or read anything but its own program, and never exits in an orderly way: an isolate
 * that V8 has lost control of would keep it from ending, so it kills itself.
 */
import { setInterval as beats } from 'node:timers/promises'
import type Ivm from 'isolated-vm'
import type {
  AnsweredMessage,
  CallMessage,
  FromChild,
  OpenMessage,
  ProgramMessage,
  ToChild,
} from '../messages.ts'
import {
  type CompiledText,
  type CompiledTexts,
  createCompiledTexts,
  createPrelude,
} from './compiled-texts.ts'
import { type Heap, type HeapEnd, type HeapOptions, openHeap, RefusedProgram } from './heap.ts'

type Held = { program: ProgramMessage; compiled: CompiledTexts; heap: Heap | undefined; isInUse: boolean }

/** `failure`: the setup of a new heap did not succeed, and the heap is gone. */
type Ready = { heap: Heap; setup: { logs: string; failure: HeapEnd | undefined } | undefined }

const noEnd: Omit<HeapEnd, 'cause'> = {
  thrown: '',
  ended: '',
  answers: '',
  logs: '',
  hands: [],
  cpuMs: 0,
  heapBytes: 0,
  hostCalls: 0,
}

class Child {
  readonly #ivm: typeof Ivm
  readonly #limits: OpenMessage
  readonly #prelude: CompiledText = createPrelude()
  readonly #held = new Map<number, Held>()
  /** Calls in hand, and whether nobody wants them any more. */
  readonly #calls = new Map<number, { isCancelled: boolean }>()

  constructor(ivm: typeof Ivm, limits: OpenMessage) {
    this.#ivm = ivm
    this.#limits = limits
  }

  async beat(): Promise<void> {
    for await (const _ of beats(this.#limits.outer.beatMs)) {
      const heaps = [...this.#held.values()].flatMap(({ heap }) => (heap === undefined ? [] : [heap]))
      for (const heap of heaps) heap.beat()
      const hands = heaps.flatMap(({ inHand }) => (inHand === undefined ? [] : [inHand]))
      say({ kind: 'beat', residentBytes: process.memoryUsage.rss(), hands })
    }
  }

  hear(message: ToChild): void {
    if (message.kind === 'program') this.#hold(message)
    else if (message.kind === 'call') void this.#call(message)
    else if (message.kind === 'settle') this.#held.get(message.program)?.heap?.settle(message)
    else if (message.kind === 'drop') this.#drop(message.program)
    else if (message.kind === 'cancel') {
      const inHand = this.#calls.get(message.call)
      if (inHand !== undefined) inHand.isCancelled = true
      for (const { heap } of this.#held.values()) heap?.cancel(message.call)
    }
  }

  #hold(program: ProgramMessage): void {
    const compiled = createCompiledTexts(this.#prelude, program)
    this.#held.set(program.program, { program, compiled, heap: undefined, isInUse: false })
  }

  #drop(program: number): void {
    this.#held.get(program)?.heap?.dispose()
    this.#held.delete(program)
  }

  async #call(message: CallMessage): Promise<void> {
    const held = this.#held.get(message.program)
    if (held === undefined) return
    const { call } = message
    const answer = (end: HeapEnd, more: Pick<AnsweredMessage, 'entries' | 'wasFresh' | 'setupLogs'>) =>
      say({ kind: 'answered', call, ...more, ...end })
    const inHand = { isCancelled: false }
    this.#calls.set(call, inHand)
    held.isInUse = true
    try {
      const { heap, setup } = await this.#ready(held, message)
      const more = { entries: heap.entries, wasFresh: setup !== undefined, setupLogs: setup?.logs ?? '' }
      if (setup?.failure !== undefined) return answer(setup.failure, more)
      const end = inHand.isCancelled ? { ...noEnd, cause: 'cancelled' as const } : await heap.run(message)
      if (heap.isSpent) held.heap = undefined
      answer(end, more)
    } catch (error) {
      if (!(error instanceof RefusedProgram)) throw error
      const refused = { ...noEnd, cause: 'refused' as const, thrown: error.thrown }
      answer(refused, { entries: '[]', wasFresh: true, setupLogs: '' })
    } finally {
      held.isInUse = false
      this.#calls.delete(call)
    }
  }

  /** The program's heap; `setup` if it had to be made. */
  async #ready(held: Held, { call, nowMs, mustBeFresh }: CallMessage): Promise<Ready> {
    if (held.heap !== undefined && (held.heap.isSpent || mustBeFresh)) {
      held.heap.dispose()
      held.heap = undefined
    }
    if (held.heap !== undefined) return { heap: held.heap, setup: undefined }
    this.#makeRoom()
    const heap = await openHeap(this.#heapOptions(held, nowMs))
    held.heap = heap
    const { setup } = held.program
    if (setup === undefined) return { heap, setup: { logs: '', failure: undefined } }
    const end = await heap.run({ call, entry: setup.entry, items: setup.items, concurrencyMax: 1 })
    if (end.cause === 'done' && /^0[vu]/.test(end.ended))
      return { heap, setup: { logs: end.logs, failure: undefined } }
    heap.dispose()
    held.heap = undefined
    const thrown = end.ended.startsWith('0e') ? end.answers : setupFailure(end)
    const cause = end.cause === 'cancelled' ? end.cause : 'setup'
    return {
      heap,
      setup: { logs: '', failure: { ...end, ended: '', answers: '', hands: [], cause, thrown } },
    }
  }

  #heapOptions({ program, compiled }: Held, nowMs: number): HeapOptions {
    return {
      ivm: this.#ivm,
      program,
      compiled,
      limits: this.#limits,
      nowMs,
      onAsk: (ask) => say({ kind: 'ask', program: program.program, ...ask }),
      onDoomed: (doomed) => process.send?.({ kind: 'doomed', ...doomed } satisfies FromChild, killSelf),
    }
  }

  #makeRoom(): void {
    const { isolatesPerChildMax } = this.#limits.outer
    const made = [...this.#held.values()].filter(({ heap, isInUse }) => heap !== undefined || isInUse)
    if (made.length <= isolatesPerChildMax) return
    const [oldest] = made
      .filter(({ isInUse }) => !isInUse)
      .sort((one, other) => (one.heap?.usedMs ?? 0) - (other.heap?.usedMs ?? 0))
    if (oldest === undefined) return
    oldest.heap?.dispose()
    oldest.heap = undefined
  }
}

function setupFailure({ cause, ended }: HeapEnd): string {
  const message =
    cause !== 'done'
      ? `Its setup was stopped: ${cause}.`
      : ended.startsWith('0m')
        ? 'Its setup function is not there.'
        : 'Its setup waited too long or answered too much.'
  return JSON.stringify({ name: 'Error', message, stack: '' })
}

function say(message: FromChild): void {
  if (process.connected) process.send?.(message)
}

function killSelf(): void {
  process.kill(process.pid, 'SIGKILL')
}

async function open(message: OpenMessage): Promise<void> {
  let child: Child
  try {
    const { default: ivm } = await import('isolated-vm')
    new ivm.Isolate({ memoryLimit: 8 }).dispose()
    child = new Child(ivm, message)
  } catch (error) {
    say({ kind: 'unavailable', message: error instanceof Error ? error.message : String(error) })
    return
  }
  process.on('message', (next: ToChild) => child.hear(next))
  say({ kind: 'ready' })
  await child.beat()
}

if (process.send !== undefined) {
  process.once('disconnect', killSelf)
  process.once('message', (message: OpenMessage) => void open(message))
}
