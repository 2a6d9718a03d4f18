/**
 * The words of the sandbox. A *program* is one version of somebody's source text with its limits and the host
 * functions that it may ask. A *call* runs one of its functions over a batch of *items*; each item has an
 * answer of its own. Values are JSON texts on both sides.
 */

/** What a host function is told besides its arguments. */
export type HostContext = {
  program: string
  /** The function that the call runs. */
  entry: string
  /** Aborts when the call is over or the time is up. */
  signal: AbortSignal
}

/**
 * Something that the program may ask for by name. `args` is JSON text that the program chose: expect anything.
 * Answers JSON text, or `undefined`. What it throws reaches the program as an error with the same name and
 * message, and nothing else of it.
 */
export type HostFunction = (args: string, context: HostContext) => Promise<string | undefined>

export type ProgramItem = {
  /** JSON text. */
  text: string
  /** What the program sees as the present, in ms since the epoch. */
  nowMs: number
  /** What the program's chance grows from; its lowest 32 bits count. */
  seed: number
}

export type ProgramSpec = {
  /** Names the program in logs and in the positions of stacks. */
  name: string
  /** The body of a CommonJS module: it finds `exports` and `module`, and nothing to require with. */
  source: string
  /**
   * An expression for a function that runs before the source in the same heap and is given the bridge:
   * `bridge.call(name, ...values)` asks a host function. It may answer a function from the program's exports
   * to the entries that are called. It shares its heap with the program: it holds no secrets.
   */
  library?: string
  host?: Readonly<Record<string, HostFunction>>
  /** Runs once in each heap before its first call. Its failure is the failure of the items that wait for it. */
  setup?: { entry: string; item: ProgramItem }
  heapMegabytesMax?: number
}

/**
 * Why an item has no value. `thrown`: by the program. `timeout`: it computed or waited for too long. `cpu`: the
 * call has used its processor time. `memory`: it needs more than the heap. `crash`: it ends the process.
 * `too_large`: its result. `invalid`: the item is no JSON. `missing`: there is no such function. `setup`: the
 * heap could not be made ready. `paused`: the program is.
 */
export type ItemFailure = {
  kind:
    | 'thrown'
    | 'timeout'
    | 'cpu'
    | 'memory'
    | 'crash'
    | 'too_large'
    | 'invalid'
    | 'missing'
    | 'setup'
    | 'paused'
  /** The error's own name if the program threw one. */
  name: string
  message: string
  /** Positions are those of the program's source; empty if nothing was thrown. */
  stack: string
}

export type ItemResult =
  | {
      kind: 'value'
      /** JSON text; `undefined` if the program answered nothing. */
      text: string | undefined
    }
  | { kind: 'failed'; failure: ItemFailure }

export type LogLine = { level: string; text: string }

export type CallStats = {
  cpuMs: number
  wallMs: number
  /** The largest heap that was seen, in bytes. */
  heapBytes: number
  hostCalls: number
  /** More than one if a part of the batch had to be run again. */
  runs: number
}

export type CallAnswer = {
  /** One for each item, in their order. */
  results: ItemResult[]
  logs: LogLine[]
  /** Lines that were printed beyond the limit. */
  linesLost: number
  stats: CallStats
}

export type CallOptions = {
  /**
   * Items in hand at once; default 1. With more, an item's clock and chance are those of the item begun last
   * once it has waited, and items that were in hand when one of them was stopped are run again.
   */
  concurrencyMax?: number
  signal: AbortSignal
}

export type ProgramState = { kind: 'running' } | { kind: 'paused'; reason: string; sinceMs: number }

/**
 * A program that is loaded. Disposing of it waits for its calls in hand and frees its heaps; a new version is
 * a new program, loaded before the old one is disposed of.
 */
export interface Program extends AsyncDisposable {
  readonly name: string
  /** The functions that it exports. */
  readonly entries: readonly string[]
  readonly state: ProgramState
  /**
   * Runs an entry over a batch. What the program does is in the answer; it throws `SANDBOX_BUSY` when too many
   * calls wait, `SANDBOX_INPUT_TOO_LARGE` for too large a batch, and the signal's reason.
   */
  call(entry: string, items: readonly ProgramItem[], options: CallOptions): Promise<CallAnswer>
  /** Ends a pause and forgets the crashes. */
  resume(): void
}

export function failed(
  kind: ItemFailure['kind'],
  message: string,
  thrown = { name: '', stack: '' },
): ItemResult {
  return { kind: 'failed', failure: { kind, message, ...thrown } }
}
