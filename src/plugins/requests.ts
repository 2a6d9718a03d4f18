/**
 * What a plugin asks of the world during a trial, as host functions of its sandbox. Nothing leaves the machine
 * but `fetch`, if it is allowed: jobs, metrics and captured events are noted down, cache and storage last for
 * the run.
 */
import { z } from 'zod'
import type { Outbound } from '../http/outbound/outbound.ts'
import type { Clock } from '../ports/clock.ts'
import type { HostFunction } from '../sandbox/program.ts'
import { MemoryCache } from './memory-cache.ts'

/** Something that the plugin asked for, to be shown to its author. */
export type PluginRequest =
  | { kind: 'job'; name: string; payload: unknown; when: string }
  | { kind: 'metric'; name: string; operation: string; value: number }
  | { kind: 'capture'; event: string; properties: unknown }
  | { kind: 'fetch'; method: string; url: string; answer: string }
  /** In a new heap, after an event that was stopped by force: `meta.global` is empty, and the lines are printed again. */
  | { kind: 'setup' }
  | { kind: 'geoip'; ip: string; hasDatabase: boolean }

export type PluginAttachment = { contentType: string; fileName: string; contents: Buffer }

export type RequestsOptions = {
  clock: Clock
  config: Readonly<Record<string, unknown>>
  attachments: Readonly<Record<string, PluginAttachment>>
  /** None: `fetch` is refused. */
  outbound: Outbound | undefined
  /** Answers what MaxMind's city database says of an address. None: there is no database. */
  locate: ((ip: string) => unknown) | undefined
}

export interface PluginRequests {
  readonly host: Readonly<Record<string, HostFunction>>
  /** What was asked since the last time. */
  take(): PluginRequest[]
}

const units = z.templateLiteral([
  z.enum(['millisecond', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year']),
  z.enum(['', 's']),
])
const jobArguments = z.union([
  z
    .tuple([z.string(), z.unknown(), z.literal('now')])
    .transform(([name, payload]) => ({ name, payload, when: 'now' })),
  z
    .tuple([z.string(), z.unknown(), z.literal('in'), z.number(), units])
    .transform(([name, payload, , amount, unit]) => ({ name, payload, when: `in ${amount} ${unit}` })),
  z
    .tuple([z.string(), z.unknown(), z.literal('at'), z.string()])
    .transform(([name, payload, , time]) => ({ name, payload, when: `at ${time}` })),
])
const fetchArguments = z.tuple([
  z.object({
    url: z.string(),
    method: z.string(),
    headers: z.array(z.tuple([z.string(), z.string()])),
    body: z.string().optional(),
  }),
])
const metricArguments = z.tuple([z.string(), z.string(), z.number()])
const captureArguments = z.tuple([z.string(), z.unknown()])
const locateArguments = z.tuple([z.string()])

export function createRequests(options: RequestsOptions): PluginRequests {
  const { clock, config, attachments, locate } = options
  const cache = new MemoryCache(clock)
  const storage = new Map<string, unknown>()
  let noted: PluginRequest[] = []
  let isOpened = false
  const opened = JSON.stringify({
    config,
    attachments: Object.fromEntries(Object.entries(attachments).map(([key, file]) => [key, asTexts(file)])),
  })
  const host: Record<string, HostFunction> = {
    open: async () => {
      if (isOpened) noted.push({ kind: 'setup' })
      isOpened = true
      return opened
    },
    cache: async (args) => {
      const [operation, ...values] = list(args)
      return JSON.stringify(cache.run(operation, values))
    },
    storage: async (args) => JSON.stringify(store(storage, list(args))),
    job: async (args) => {
      const job = read(jobArguments, args, 'A job is run now, in an amount of a unit of time, or at a date')
      noted.push({ kind: 'job', ...job })
      return undefined
    },
    metric: async (args) => {
      const [name, operation, value] = read(metricArguments, args, 'A metric takes a number')
      noted.push({ kind: 'metric', name, operation, value })
      return undefined
    },
    capture: async (args) => {
      const [event, properties] = read(captureArguments, args, 'posthog.capture takes the name of an event')
      noted.push({ kind: 'capture', event, properties })
      return undefined
    },
    locate: async (args) => {
      const [ip] = read(locateArguments, args, 'geoip.locate takes an address')
      noted.push({ kind: 'geoip', ip, hasDatabase: locate !== undefined })
      return JSON.stringify(locate?.(ip))
    },
    fetch: (args, { signal }) =>
      ask(args, { outbound: options.outbound, note: (one) => noted.push(one), signal }),
  }
  return {
    host,
    take() {
      const taken = noted
      noted = []
      return taken
    },
  }
}

async function ask(
  args: string,
  options: { outbound: Outbound | undefined; note: (request: PluginRequest) => void; signal: AbortSignal },
): Promise<string> {
  const { outbound, note, signal } = options
  const [{ body, ...request }] = read(fetchArguments, args, 'fetch takes a URL')
  const { url, method } = request
  if (outbound === undefined) {
    note({ kind: 'fetch', method, url, answer: 'refused' })
    throw new Error('fetch is refused in this test. Give --allow-fetch to let the plugin out.')
  }
  try {
    const answer = await outbound.fetch(body === undefined ? request : { ...request, body }, { signal })
    note({ kind: 'fetch', method, url, answer: String(answer.status) })
    return JSON.stringify({ ...answer, body: undefined, text: answer.body.toString('utf8') })
  } catch (error) {
    // The plugin is told, and may handle it.
    note({ kind: 'fetch', method, url, answer: error instanceof Error ? error.message : String(error) })
    throw error
  }
}

function store(storage: Map<string, unknown>, [operation, key, value]: readonly unknown[]): unknown {
  if (typeof key !== 'string') throw new TypeError('A key of the storage is a text.')
  if (operation === 'get') return storage.get(key)
  if (operation === 'del') storage.delete(key)
  if (operation === 'set') storage.set(key, value)
  if (operation !== 'increment') return undefined
  const next = Number(storage.get(key) ?? 0) + Number(value)
  if (!Number.isFinite(next)) throw new TypeError(`The cursor ${key} is no number.`)
  storage.set(key, next)
  return next
}

function asTexts({ contents, ...file }: PluginAttachment) {
  return { ...file, text: contents.toString('utf8'), latin1: contents.toString('latin1') }
}

/** What a program sends is what it chose to send. */
function read<T>(schema: z.ZodType<T>, args: string, rule: string): T {
  const parsed = schema.safeParse(JSON.parse(args))
  if (!parsed.success) throw new TypeError(`${rule}.`)
  return parsed.data
}

function list(args: string): unknown[] {
  const values: unknown = JSON.parse(args)
  return Array.isArray(values) ? values : []
}
