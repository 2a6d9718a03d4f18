/**
 * Proves that two implementations of a processor agree: both are run on the same messages, in the same world of
 * time and chance, and what they make is compared. Messages are payloads from files, payloads with mistakes put
 * into them, and messages out of the storage's JSON Schema. The first difference is made as small as it gets.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { LogHeaders } from '../../event/headers.ts'
import type {
  CreateProcessor,
  MessageProcessor,
  ProcessorContext,
  RowFormat,
} from '../processor/processor.ts'
import { createMessage, createProofContext, endOf } from '../processor/run-message.ts'
import type { Storage } from '../storage/storage.ts'
import { type CompareOptions, compareEnds, type Difference, kindOf } from './compare/compare.ts'
import { createMessages, type ProofMessage } from './messages.ts'
import { minimise } from './minimise.ts'
import type { Payload } from './payloads.ts'

/** What of a storage a proof needs. */
export type ProvenStorage = {
  name: string
  tables: readonly Pick<Storage['tables'][number], 'columns'>[]
  format: RowFormat
  retention: Storage['retention']
  options: Readonly<Record<string, unknown>>
  messageSchema: Readonly<Record<string, unknown>> | undefined
}

export type ProofOptions = {
  storage: ProvenStorage
  left: CreateProcessor
  right: CreateProcessor
  payloads: readonly Payload[]
  /** Messages to make, beside the payloads. */
  generate: number
  seed: number
  /** Columns that are not compared. */
  ignore?: readonly string[]
  /** Live options that both see. */
  live?: Readonly<Record<string, unknown>>
  /** Told of every run of a side: the number of the message in hand, from 0. */
  onRun?: (side: 'left' | 'right', message: number) => void
}

export type Proof = {
  messages: Record<ProofMessage['origin'], number>
  /** How the messages ended at the left side, as far as both agreed. */
  endings: Record<ReturnType<typeof kindOf>, number>
  rows: number
  /** Messages that ended with an error other than `InvalidMessage`, by side. */
  failures: { left: number; right: number }
  formats: { left: RowFormat; right: RowFormat }
  difference: FoundDifference | undefined
}

export type FoundDifference = Difference & {
  /** Where the message came from: `payload everyday.json`. */
  origin: string
  /** The smallest message that shows it, and how large it was when it was found. */
  value: Buffer
  headers: LogHeaders
  foundBytes: number
}

/** Smaller messages that are tried before the smallest one so far is taken. */
const triesMax = 20_000

/** Stops at the first difference. Does not come back while a processor does not. Throws `PAYLOADS_INVALID` if there is nothing to run. */
export function prove(options: ProofOptions): Proof {
  const pair = createPair(options)
  const proof: Proof = {
    messages: { payload: 0, mutated: 0, generated: 0 },
    endings: { rows: 0, skip: 0, replacement: 0, invalid: 0, ignored: 0 },
    rows: 0,
    failures: { left: 0, right: 0 },
    formats: { left: pair.left.format, right: pair.right.format },
    difference: undefined,
  }
  let count = 0
  for (const message of createMessages({ ...options, schema: options.storage.messageSchema })) {
    proof.messages[message.origin]++
    const number = count++
    const { left, right, difference } = pair.run({ ...message, number })
    if (difference !== undefined) {
      proof.difference = shrink({ ...message, number }, difference, pair)
      return proof
    }
    proof.endings[kindOf(left)]++
    proof.rows += left.rows.length
    if (hasFailed(left)) proof.failures.left++
    if (hasFailed(right)) proof.failures.right++
  }
  if (count === 0)
    throw new RowmillError(
      'PAYLOADS_INVALID',
      `There is no message to prove the processor of ${options.storage.name} with: give a folder of payloads, or a number of messages to generate for a storage with a schema.`,
    )
  return proof
}

type Side = { processor: MessageProcessor; format: RowFormat }
type Numbered = { value: Buffer; headers: LogHeaders; number: number }
type Pair = { left: Side; right: Side; run: (message: Numbered) => PairEnd }
type PairEnd = {
  left: ReturnType<typeof endOf>
  right: ReturnType<typeof endOf>
  difference: Difference | undefined
}

function createPair(options: ProofOptions): Pair {
  const { storage, ignore = [], live = {}, onRun } = options
  const context = createProofContext({
    storage: storage.name,
    format: storage.format,
    retention: storage.retention,
    options: storage.options,
    live: () => live,
  })
  const left = createSide(options.left, context)
  const right = createSide(options.right, context)
  const compared: CompareOptions = { tables: storage.tables, ignore: new Set(ignore) }
  return {
    left,
    right,
    run({ value, headers, number }) {
      const endAt = (side: 'left' | 'right', { processor, format }: Side) => {
        onRun?.(side, number)
        // Each side gets bytes of its own: one that changes them must not change what the other sees.
        const message = createMessage({ value: Buffer.from(value), headers })
        return { format, end: endOf(processor, message, storage.tables.length) }
      }
      const one = endAt('left', left)
      const two = endAt('right', right)
      return { left: one.end, right: two.end, difference: compareEnds(one, two, compared) }
    },
  }
}

/**
 * A processor that has no columns writes JSON where Native is wished. One that cannot write RowBinary throws when it
 * is made; it is compared by its JSON rows.
 */
function createSide(create: CreateProcessor, context: ProcessorContext): Side {
  if (context.format !== 'RowBinary') return sideOf(create(context))
  try {
    return { processor: create(context), format: context.format }
  } catch (error) {
    const processor = create({ ...context, format: 'JSONEachRow' })
    if (error instanceof Error) return sideOf(processor)
    throw error
  }
}

function sideOf(processor: MessageProcessor): Side {
  return { processor, format: processor.columns === undefined ? 'JSONEachRow' : 'Native' }
}

function hasFailed(end: ReturnType<typeof endOf>): boolean {
  return end.kind === 'invalid' && end.reason === 'processor_failed'
}

function shrink(message: ProofMessage & Numbered, difference: Difference, { run }: Pair): FoundDifference {
  const wanted = placeOf(difference)
  const { number } = message
  const isSame = (value: Buffer, headers: LogHeaders) => {
    const found = run({ value, headers, number }).difference
    return found !== undefined && placeOf(found) === wanted
  }
  let { headers } = message
  for (const name of Object.keys(headers)) {
    const fewer = Object.fromEntries(Object.entries(headers).filter(([other]) => other !== name))
    if (isSame(message.value, fewer)) headers = fewer
  }
  const value = minimise(message.value, { triesMax, holds: (smaller) => isSame(smaller, headers) })
  return {
    ...(run({ value, headers, number }).difference ?? difference),
    origin: `${message.origin} ${message.name}`,
    value,
    headers,
    foundBytes: message.value.length,
  }
}

/** The same difference in a smaller message is at the same place, whatever its number there. */
function placeOf({ path, left, right }: Difference): string {
  const ending = path === 'ending' ? ` ${firstWord(left)} ${firstWord(right)}` : ''
  return path.replaceAll(/\[\d+\]/g, '[]') + ending
}

function firstWord(text: string): string {
  return /^(\d+ rows)/.test(text) ? 'rows' : (/^\w+/.exec(text)?.[0] ?? '')
}
