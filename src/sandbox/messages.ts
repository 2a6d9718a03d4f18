/** What the program and its child processes say to each other. Items and answers stay texts all the way. */
import type { SandboxConfig } from './config.ts'

/** The limits that the first script of an isolate keeps. */
export type InnerLimits = Pick<
  SandboxConfig,
  | 'sliceMs'
  | 'itemWaitMs'
  | 'resultCharsMax'
  | 'answerCharsMax'
  | 'errorCharsMax'
  | 'logCharsMax'
  | 'lineCharsMax'
  | 'hostCallsMax'
  | 'hostCallsInFlightMax'
  | 'hostCharsMax'
>

export type OpenMessage = {
  kind: 'open'
  inner: InnerLimits
  outer: Pick<
    SandboxConfig,
    'isolatesPerChildMax' | 'loadTimeoutMs' | 'itemCpuMs' | 'callCpuMs' | 'beatMs' | 'wedgeMs'
  >
}

/** Items as they cross: their texts one after the other, and for each its length, time and seed. */
export type PackedItems = { texts: string; numbers: string; count: number }

export type ProgramMessage = {
  kind: 'program'
  program: number
  name: string
  source: string
  library: string | undefined
  heapMegabytesMax: number
  setup: { entry: string; items: PackedItems } | undefined
}

export type CallMessage = {
  kind: 'call'
  call: number
  program: number
  entry: string
  items: PackedItems
  concurrencyMax: number
  /** The time at which a heap is made ready, if it has to be. */
  nowMs: number
  mustBeFresh: boolean
}

export type ToChild =
  | OpenMessage
  | ProgramMessage
  | CallMessage
  | {
      kind: 'settle'
      program: number
      call: number
      request: number
      isGood: boolean
      text: string | undefined
    }
  | { kind: 'cancel'; call: number }
  | { kind: 'drop'; program: number }

/**
 * What was finished, and why it ended. `done`: the whole batch. `starved`: the time was up, but the machine was
 * so busy that the program did not get it.
 */
export type EndCause = 'done' | 'timeout' | 'starved' | 'cpu' | 'memory' | 'refused' | 'setup' | 'cancelled'

export type AnsweredMessage = {
  kind: 'answered'
  call: number
  cause: EndCause
  /** Of finished items: index, kind and length of the answer. */
  ended: string
  answers: string
  logs: string
  /** What was printed while a heap was made ready for this call. */
  setupLogs: string
  /** Items in hand at the end. */
  hands: number[]
  /** JSON text of what was thrown, if the cause is `refused` or `setup`. */
  thrown: string
  entries: string
  wasFresh: boolean
  cpuMs: number
  heapBytes: number
  hostCalls: number
}

export type FromChild =
  | { kind: 'ready' }
  | { kind: 'unavailable'; message: string }
  | { kind: 'beat'; residentBytes: number; hands: [call: number, item: number][] }
  | { kind: 'ask'; program: number; call: number; request: number; name: string; args: string }
  | AnsweredMessage
  /** The last word of a child that is about to kill itself. */
  | { kind: 'doomed'; call: number; hands: number[]; why: string }
