/**
 * One program's isolate in a child process: made ready, given one call at a time, and ended by force when the
 * program uses more than it may. Everything that runs the program runs in a thread of the isolate with a time
 * limit, so the child's own thread stays free to listen.
 *
 * A heap that was ended by force is not used again: a program that was stopped between any two instructions
 * may have left anything half done. What was finished before is saved first.
 */
import type Ivm from 'isolated-vm'
import type { AnsweredMessage, CallMessage, EndCause, OpenMessage, ProgramMessage } from '../messages.ts'
import type { CompiledTexts } from './compiled-texts.ts'

export type HeapOptions = {
  ivm: typeof Ivm
  program: ProgramMessage
  compiled: CompiledTexts
  limits: OpenMessage
  nowMs: number
  onAsk: (request: { call: number; request: number; name: string; args: string }) => void
  /** The process cannot be trusted to go on. */
  onDoomed: (doomed: { call: number; hands: number[]; why: string }) => void
}

export type HeapEnd = Omit<AnsweredMessage, 'kind' | 'call' | 'wasFresh' | 'entries' | 'setupLogs'>
export type HeapCall = Pick<CallMessage, 'call' | 'entry' | 'items' | 'concurrencyMax'>
/** Why a heap could not be made, as far as it is the program's doing: JSON text of what was thrown. */
export class RefusedProgram extends Error {
  readonly thrown: string

  constructor(thrown: { name: string; message: string; stack: string }) {
    super(thrown.message)
    this.thrown = JSON.stringify(thrown)
  }
}

type Finished = { ended: string; answers: string; logs: string; hostCalls: number; hands: number[] }
type Hand = {
  call: HeapCall
  startedMs: number
  cpu: () => number
  finished: Finished | undefined
  late: string[]
  resolve: (end: HeapEnd) => void
}
type Entry = (typeof entryNames)[number]

const entryNames = ['load', 'begin', 'step', 'settle', 'expire', 'salvage'] as const
const nothing: Finished = { ended: '', answers: '', logs: '', hostCalls: 0, hands: [] }
/** What the library says when a time limit ended a program; it gives no code. */
const timedOut = 'Script execution timed out.'
const lateMax = 20
const salvageMs = 1000
const heapLookMs = 100
/** Below this share of its time a program is not to blame for taking too long. */
const shareMin = 0.8
const nearlyFull = 0.75
const place = { state: 0, begun: 1, inHand: 2, goesOn: 3 }

/** Makes the isolate, runs the library and the source. Throws `RefusedProgram`. */
export async function openHeap(options: HeapOptions): Promise<Heap> {
  const heap = new Heap(options)
  try {
    await heap.load()
  } catch (error) {
    heap.dispose()
    throw error
  }
  return heap
}

export class Heap {
  /** JSON text of the names of the program's functions. */
  entries = '[]'
  usedMs = performance.now()
  /** Whether it must not be used again. */
  isSpent = false
  readonly #options: HeapOptions
  readonly #isolate: Ivm.Isolate
  readonly #view = new Int32Array(new SharedArrayBuffer(16))
  readonly #entriesOf = new Map<Entry, Ivm.Reference>()
  readonly #loaded = Promise.withResolvers<void>()
  #hand: Hand | undefined
  #entered = 0
  #enteredMs = 0
  #heapBytes = 0
  #heapLookedMs = Number.NEGATIVE_INFINITY

  constructor(options: HeapOptions) {
    this.#options = options
    this.#loaded.promise.catch(() => undefined)
    this.#isolate = new options.ivm.Isolate({
      memoryLimit: options.program.heapMegabytesMax,
      onCatastrophicError: (message) => this.#doom(`lost control of a heap (${message})`),
    })
  }

  /** The call and the item in hand. */
  get inHand(): [call: number, item: number] | undefined {
    return this.#hand === undefined ? undefined : [this.#hand.call.call, this.#view[place.begun] ?? -1]
  }

  async load(): Promise<void> {
    const { ivm, program, compiled, limits, nowMs } = this.#options
    const isolate = this.#isolate
    const context = await isolate.createContext()
    const make = await this.#run(context, compiled.prelude)
    const out = new ivm.Callback((...values: unknown[]) => this.#hear(values), { ignored: true })
    const view = new ivm.ExternalCopy(this.#view.buffer).copyInto({ release: true })
    const bridge: Ivm.Reference = await make.apply(undefined, [out, view, JSON.stringify(limits.inner)], {
      result: { reference: true },
    })
    for (const name of entryNames) this.#entriesOf.set(name, await bridge.get(name, { reference: true }))
    const library = compiled.library === undefined ? undefined : await this.#run(context, compiled.library)
    const source = await this.#run(context, compiled.source)
    const timeout = limits.outer.loadTimeoutMs
    try {
      await this.#apply('load', [library?.derefInto(), source.derefInto(), nowMs], timeout)
    } catch (error) {
      // A rejection that nobody handles is told here too; whether the program has loaded is told by itself.
      if (isolate.isDisposed)
        throw refusal(`The program needs more than ${program.heapMegabytesMax} MiB to load.`)
      if (messageOf(error) === timedOut) throw refusal(`The program did not load within ${timeout} ms.`)
    }
    await this.#loaded.promise
  }

  /** Runs the batch to its end, or as far as it may. The heap is free again when this resolves. */
  run(call: HeapCall): Promise<HeapEnd> {
    this.usedMs = performance.now()
    return new Promise((resolve) => {
      this.#hand = {
        call,
        startedMs: this.usedMs,
        cpu: this.#cpuClock(),
        finished: undefined,
        late: [],
        resolve,
      }
      const { texts, numbers } = call.items
      void this.#enter('begin', [call.call, call.entry, texts, numbers, call.concurrencyMax])
    })
  }

  /** The answer of a host function. One that comes after its call is not wanted any more. */
  settle(answer: { call: number; request: number; isGood: boolean; text: string | undefined }): void {
    if (this.#hand?.call.call !== answer.call || this.#hand.finished !== undefined) return
    void this.#enter('settle', [answer.request, answer.isGood, answer.text])
  }

  /** Ends a call that nobody wants any more. */
  cancel(call: number): void {
    if (this.#hand?.call.call === call) this.#end('cancelled', this.#hand.finished ?? nothing)
  }

  /** Called from time to time: looks for what has lasted too long. */
  beat(): void {
    const { outer, inner } = this.#options.limits
    const nowMs = performance.now()
    const runMsMax = Math.max(outer.itemCpuMs + inner.sliceMs, salvageMs) + outer.wedgeMs
    if (this.#entered > 0) {
      if (nowMs - this.#enteredMs > runMsMax) this.#doom(`did not stop within ${runMsMax} ms`)
    } else if (this.#hand !== undefined && nowMs - this.#hand.startedMs >= inner.itemWaitMs)
      void this.#enter('expire', [])
  }

  dispose(): void {
    this.isSpent = true
    if (!this.#isolate.isDisposed) this.#isolate.dispose()
  }

  async #run(context: Ivm.Context, text: CompiledTexts['source']): Promise<Ivm.Reference> {
    const { loadTimeoutMs } = this.#options.limits.outer
    try {
      const script = await text.compile(this.#isolate)
      const value: unknown = await script.run(context, { reference: true, timeout: loadTimeoutMs })
      if (isReference(value, this.#options.ivm)) return value
    } catch (error) {
      const name = error instanceof Error ? error.name : 'Error'
      throw new RefusedProgram({ name, message: messageOf(error), stack: stackOf(error) })
    }
    throw refusal('The source ends the function that it is the body of.')
  }

  async #apply(entry: Entry, values: unknown[], timeout: number): Promise<void> {
    await this.#entriesOf.get(entry)?.apply(undefined, values, { timeout })
  }

  /** Lets the program run until it waits, ends its batch, or its slice of time is over. */
  async #enter(entry: Entry, values: unknown[]): Promise<void> {
    const { outer, inner } = this.#options.limits
    if (this.#entered++ === 0) this.#enteredMs = performance.now()
    let isOverdue = false
    const cpu = this.#cpuClock()
    try {
      await this.#apply(entry, values, outer.itemCpuMs + inner.sliceMs)
    } catch (error) {
      isOverdue = messageOf(error) === timedOut
      if (!isOverdue && !this.#isolate.isDisposed) this.#keepLate(error)
    }
    this.#enteredMs = performance.now()
    if (isOverdue && !this.#isolate.isDisposed) {
      const isStarved = cpu() < outer.itemCpuMs * shareMin
      await this.#salvage(this.#isNearlyFull() ? 'memory' : isStarved ? 'starved' : 'timeout')
    }
    this.#entered--
    const hand = this.#hand
    if (hand === undefined) return
    if (this.#isolate.isDisposed) this.#end('memory', { ...nothing, hands: [this.#view[place.begun] ?? -1] })
    else if (hand.finished !== undefined) this.#finish()
    else if (hand.cpu() > outer.callCpuMs) await this.#salvage('cpu')
    else if (this.#view[place.goesOn] === 1) {
      this.#view[place.goesOn] = 0
      void this.#enter('step', [])
    }
  }

  /** Takes out what is finished, then gives the heap up. A batch that was through keeps its answer. */
  async #salvage(cause: EndCause): Promise<void> {
    this.isSpent = true
    try {
      await this.#apply('salvage', [], salvageMs)
      // What the isolate says and that it has returned come by different ways.
      for (let turn = 0; turn < 100 && this.#hand?.finished === undefined; turn++)
        await new Promise((resolve) => setImmediate(resolve))
    } catch (error) {
      this.#keepLate(error)
    }
    const hand = this.#hand
    if (hand === undefined) return
    const isThrough = hand.finished !== undefined && hand.finished.hands.length === 0 && this.#isThrough(hand)
    const hands = [this.#view[place.begun] ?? -1]
    this.#end(isThrough ? 'done' : cause, hand.finished ?? { ...nothing, hands })
  }

  #isThrough({ finished, call }: Hand): boolean {
    return (finished?.ended.split(',').length ?? 0) - 1 === call.items.count
  }

  #finish(): void {
    if (this.#entered === 0 && this.#hand?.finished !== undefined) this.#end('done', this.#hand.finished)
  }

  #end(cause: EndCause, finished: Finished): void {
    const hand = this.#hand
    if (hand === undefined) return
    this.#hand = undefined
    const cpuMs = hand.cpu()
    if (cause === 'done' && !this.isSpent) this.#lookAtHeap()
    else this.dispose()
    const { late } = hand
    const logs = late.length === 0 ? finished.logs : withLate(finished.logs, late)
    hand.resolve({ ...finished, cause, logs, thrown: '', cpuMs, heapBytes: this.#heapBytes })
  }

  /**
   * Tells the processor time used since now, in ms, as near as it can be had. The isolate's own figure goes on
   * while its thread waits for a core; that of the process counts the other heaps: the lesser is nearer.
   */
  #cpuClock(): () => number {
    const isolate = this.#isolate
    const isolateBefore = isolate.isDisposed ? 0n : isolate.cpuTime
    const processBefore = process.cpuUsage()
    let lastMs = 0
    return () => {
      const { user, system } = process.cpuUsage(processBefore)
      const processMs = (user + system) / 1000
      if (isolate.isDisposed) return lastMs
      lastMs = Math.min(processMs, Number(isolate.cpuTime - isolateBefore) / 1e6)
      return lastMs
    }
  }

  #lookAtHeap(): void {
    const nowMs = performance.now()
    if (nowMs - this.#heapLookedMs < heapLookMs) return
    this.#heapLookedMs = nowMs
    const { used_heap_size, externally_allocated_size } = this.#isolate.getHeapStatisticsSync()
    this.#heapBytes = used_heap_size + externally_allocated_size
  }

  /** A heap that is nearly full is slow, because the collector runs all the time: what it lacks is room. */
  #isNearlyFull(): boolean {
    this.#heapLookedMs = Number.NEGATIVE_INFINITY
    this.#lookAtHeap()
    return this.#heapBytes > nearlyFull * this.#options.program.heapMegabytesMax * 2 ** 20
  }

  #keepLate(error: unknown): void {
    if (this.#hand !== undefined && this.#hand.late.length < lateMax)
      this.#hand.late.push(messageOf(error).slice(0, this.#options.limits.inner.lineCharsMax))
  }

  /** What the first script says: see prelude-bridge.ts. */
  #hear([kind, number, first, second, third, fourth, fifth]: unknown[]): void {
    const hand = this.#hand
    if (kind === 3) {
      this.entries = String(first)
      this.#loaded.resolve()
    } else if (kind === 4) {
      this.#loaded.reject(new RefusedProgram(JSON.parse(String(first))))
    } else if (hand === undefined) return
    else if (kind === 2)
      this.#options.onAsk({
        call: hand.call.call,
        request: Number(number),
        name: String(first),
        args: String(second),
      })
    else if (number === hand.call.call) {
      hand.finished = {
        ended: String(first),
        answers: String(second),
        logs: String(third),
        hostCalls: Number(fourth),
        hands: String(fifth ?? '')
          .split(',')
          .filter((index) => index !== '')
          .map(Number),
      }
      if (kind === 0) this.#finish()
    }
  }

  #doom(why: string): void {
    const { begun } = place
    this.#options.onDoomed({
      call: this.#hand?.call.call ?? -1,
      hands: this.#hand === undefined ? [] : [this.#view[begun] ?? -1],
      why,
    })
  }
}

function refusal(message: string): RefusedProgram {
  return new RefusedProgram({ name: 'Error', message, stack: '' })
}

function isReference(value: unknown, ivm: typeof Ivm): value is Ivm.Reference {
  return value instanceof ivm.Reference && value.typeof === 'function'
}

function withLate(logs: string, late: readonly string[]): string {
  const lines = late.map((text) => JSON.stringify(['error', `Nobody handled a rejection: ${text}`]))
  return logs === '' ? `[0,${lines.join(',')}]` : `${logs.slice(0, -1)},${lines.join(',')}]`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '') : ''
}
