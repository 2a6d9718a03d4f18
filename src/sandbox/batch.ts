/**
 * One call from its batch to an answer for each item. A batch that was ended by force is run again without the
 * items that are to blame, in parts until they stand alone:
 *
 * - An item that took too long is known. What was finished before is kept, and what comes after runs on.
 * - When a heap was too small, the item in hand runs again alone in a fresh heap: others may have filled it.
 * - When a process has ended, every call that it had in hand is a suspect and runs again alone in a process of
 *   its own; who ends that is guilty, down to the item.
 *
 * So an item may run more than once if its own program misbehaves, or if another crashes the process. What it
 * has asked of the host by then is not taken back.
 */
import type { CallEnd, ChildDeath } from './child-process.ts'
import type { SandboxConfig } from './config.ts'
import type { Crashes } from './crashes.ts'
import type { AnsweredMessage } from './messages.ts'
import { packItems, thrownOf, unpackAnswers, unpackLogs } from './pack.ts'
import { closedError, type Pool, type PoolProgram } from './pool.ts'
import { type CallAnswer, type CallOptions, failed, type ItemResult, type ProgramItem } from './program.ts'

export type BatchOptions = CallOptions & {
  pool: Pool
  program: PoolProgram
  crashes: Crashes
  config: SandboxConfig
  monotonic: () => number
  entry: string
  items: readonly ProgramItem[]
}

/** How a part of the batch is to be run. */
type Manner = { isAlone: boolean; mustBeFresh: boolean; concurrencyMax: number; starvedMax: number }

/** How often an item may run again because the machine was too busy to run it within its time. */
const starvedMax = 3

/** Throws the signal's reason, and what the pool throws. */
export async function runBatch(options: BatchOptions): Promise<CallAnswer> {
  const batch = new Batch(options)
  const { items, concurrencyMax = 1 } = options
  const all = items.map((_, index) => index)
  await batch.run(all, { isAlone: false, mustBeFresh: false, concurrencyMax, starvedMax })
  return batch.answer()
}

class Batch {
  readonly #options: BatchOptions
  readonly #startedMs: number
  readonly #results: (ItemResult | undefined)[]
  readonly #answer: Omit<CallAnswer, 'results'> = {
    logs: [],
    linesLost: 0,
    stats: { cpuMs: 0, wallMs: 0, heapBytes: 0, hostCalls: 0, runs: 0 },
  }

  constructor(options: BatchOptions) {
    this.#options = options
    this.#startedMs = options.monotonic()
    this.#results = Array.from({ length: options.items.length }, () => undefined)
  }

  answer(): CallAnswer {
    this.#answer.stats.wallMs = this.#options.monotonic() - this.#startedMs
    const unanswered = failed('crash', 'The sandbox gave no answer.')
    return { results: this.#results.map((result) => result ?? unanswered), ...this.#answer }
  }

  async run(indexes: readonly number[], manner: Manner): Promise<void> {
    if (indexes.length === 0) return
    const { crashes, signal } = this.#options
    if (crashes.state.kind === 'paused') return this.#blame(indexes, failed('paused', crashes.state.reason))
    const end = await this.#attempt(indexes, manner)
    this.#answer.stats.runs++
    signal.throwIfAborted()
    if (end.kind === 'died') return await this.#afterDeath(end, indexes, manner)
    this.#take(end, indexes)
    await this.#afterEnd(end, indexes, manner)
  }

  async #attempt(
    indexes: readonly number[],
    { isAlone, mustBeFresh, concurrencyMax }: Manner,
  ): Promise<CallEnd> {
    const { pool, program, entry, items, signal } = this.#options
    const chosen = indexes.flatMap((index) => items[index] ?? [])
    const call = { program, entry, items: packItems(chosen), concurrencyMax, mustBeFresh, signal }
    return isAlone ? await pool.runAlone(call) : await pool.run(call)
  }

  #take(end: AnsweredMessage, indexes: readonly number[]): void {
    const { config, entry } = this.#options
    const count = indexes.length
    for (const [at, result] of unpackAnswers({ ...end, count, entry }, config)) {
      const index = indexes[at]
      if (index !== undefined) this.#results[index] = result
    }
    for (const text of [end.setupLogs, end.logs]) {
      const { lines, linesLost } = unpackLogs(text)
      this.#answer.logs.push(...lines)
      this.#answer.linesLost += linesLost
    }
    const { stats } = this.#answer
    stats.cpuMs += end.cpuMs
    stats.hostCalls += end.hostCalls
    stats.heapBytes = Math.max(stats.heapBytes, end.heapBytes)
  }

  async #afterEnd(end: AnsweredMessage, indexes: readonly number[], manner: Manner): Promise<void> {
    const { config } = this.#options
    const left = indexes.filter((index) => this.#results[index] === undefined)
    if (end.cause === 'done' || left.length === 0) return
    if (end.cause === 'refused' || end.cause === 'setup') {
      const { name, message, stack } = thrownOf(end.thrown)
      return this.#blame(left, failed('setup', message, { name, stack }))
    }
    if (end.cause === 'cpu')
      return this.#blame(
        left,
        failed('cpu', `The call used more than ${config.callCpuMs} ms of processor time.`),
      )
    const hands = end.hands.flatMap((at) => indexes[at] ?? []).filter((index) => left.includes(index))
    if (end.cause === 'memory') return await this.#afterMemory(end.wasFresh, { left, hands, manner })
    const [hand] = hands
    if (end.cause === 'starved' && manner.starvedMax > 0) {
      await this.run(hands, { ...manner, starvedMax: manner.starvedMax - 1 })
    } else if (hands.length === 1 && hand !== undefined)
      this.#blame([hand], failed('timeout', `The program computed for longer than ${config.itemCpuMs} ms.`))
    else for (const index of hands) await this.run([index], { ...manner, concurrencyMax: 1 })
    const rest = left.filter((index) => !hands.includes(index))
    // A call that ends before it has begun an item would end so for ever.
    if (hands.length === 0 && rest.length === indexes.length)
      return this.#blame(rest, failed('timeout', 'The program was stopped before it began an item.'))
    await this.run(rest, manner)
  }

  async #afterMemory(
    wasFresh: boolean,
    { left, hands, manner }: { left: readonly number[]; hands: readonly number[]; manner: Manner },
  ): Promise<void> {
    const { program } = this.#options
    const megabytes = program.message.heapMegabytesMax
    const fresh = { ...manner, mustBeFresh: true, concurrencyMax: 1 }
    if (left.length === 1 && wasFresh)
      return this.#blame(left, failed('memory', `The program needs more than ${megabytes} MiB.`))
    const { before, found, after } = split(left, hands)
    await this.run(before, manner)
    await this.run(found, fresh)
    await this.run(after, manner)
  }

  async #afterDeath(death: ChildDeath, indexes: readonly number[], manner: Manner): Promise<void> {
    if (death.cause === 'closed') throw closedError()
    const alone = { ...manner, isAlone: true, concurrencyMax: 1 }
    const hands = death.hands.flatMap((at) => indexes[at] ?? [])
    if (!manner.isAlone && !death.isNamed) return await this.run(indexes, alone)
    this.#options.crashes.count(death.why)
    const crash = failed('crash', `The program ended its process, which ${death.why}.`)
    if (indexes.length === 1) return this.#blame(indexes, crash)
    const { before, found, after } = split(indexes, hands)
    await this.run(before, alone)
    if (death.isNamed && manner.concurrencyMax === 1 && found.length === 1) this.#blame(found, crash)
    else await this.run(found, alone)
    await this.run(after, manner)
  }

  #blame(indexes: readonly number[], result: ItemResult): void {
    for (const index of indexes) this.#results[index] = result
  }
}

/** Before the item in hand, it alone, what comes after it; halves if none is known. */
function split(indexes: readonly number[], hands: readonly number[]) {
  const at = hands[0] === undefined ? -1 : indexes.indexOf(hands[0])
  const middle = (indexes.length + 1) >> 1
  return at >= 0
    ? { before: indexes.slice(0, at), found: indexes.slice(at, at + 1), after: indexes.slice(at + 1) }
    : { before: indexes.slice(0, middle), found: [], after: indexes.slice(middle) }
}
