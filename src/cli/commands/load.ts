import { listProjects } from '../../api/projects/projects.ts'
import { joinEngines } from '../../platform/join.ts'
import { readRunFile } from '../../platform/run-file.ts'
import { type Command, type CommandContext, UsageError } from '../command.ts'
import { createEvents } from '../load/generate.ts'
import { type LoadResult, sendLoad } from '../load/send.ts'
import { json, progress } from '../output.ts'
import { auditSettled, describeAudit } from './audit.ts'

export const loadCommand: Command = {
  name: 'load',
  summary: 'Send events to a running Rowmill, wait until they are rows, and print the audit.',
  usage: 'load [--events <n>] [--rate <per second>] [--batch <n>] [--connections <n>] [--users <n>]',
  options: {
    events: { kind: 'text', placeholder: 'n', description: 'How many events (default 100000).' },
    rate: {
      kind: 'text',
      placeholder: 'per second',
      description: 'Events per second; 0 is as fast as they are acknowledged (default 0).',
    },
    batch: { kind: 'text', placeholder: 'n', description: 'Events in one request (default 50).' },
    connections: { kind: 'text', placeholder: 'n', description: 'Requests in flight (default 8).' },
    users: { kind: 'text', placeholder: 'n', description: 'Different distinct ids (default 1000).' },
    bytes: {
      kind: 'text',
      placeholder: 'n',
      description: 'About how large the properties of an event are (default 600).',
    },
    token: { kind: 'text', placeholder: 'token', description: 'Of this project (default: the first).' },
    url: {
      kind: 'text',
      placeholder: 'url',
      description: 'Where capture listens (default: the program of the data folder).',
    },
    wait: {
      kind: 'text',
      placeholder: 'seconds',
      description: 'How long the rows may take at the end (default 120).',
    },
  },
  async run({ config, options, terminal, isJson, signal }) {
    const plan = {
      events: count(options, 'events', 100_000, 1),
      batch: count(options, 'batch', 50, 1),
      connections: count(options, 'connections', 8, 1),
      rate: count(options, 'rate', 0, 0),
    }
    const shape = {
      users: count(options, 'users', 1000, 1),
      propertiesBytes: count(options, 'bytes', 600, 0),
    }
    const waitMs = 1000 * count(options, 'wait', 120, 0)
    const settings = config().config
    const url = typeof options.url === 'string' ? options.url : readRunFile(settings.dataDir)?.url
    if (url === undefined)
      throw new UsageError(
        `Nothing is running in ${settings.dataDir}. Start "rowmill serve" there first, or name a capture with --url.`,
      )
    await using engines = await joinEngines(settings)
    const token =
      typeof options.token === 'string'
        ? options.token
        : ((await listProjects(engines.database))[0]?.apiToken ?? '')
    const { events } = plan
    const run = engines.random.bytes(4).toString('hex')
    const next = createEvents({ run, ...shape }, engines.random)
    const bar = progress(terminal, 'sending')
    const startedAt = engines.clock.monotonic()
    const result = await sendLoad(
      {
        url,
        token,
        ...plan,
      },
      { clock: engines.clock, next },
      {
        signal,
        onProgress: (sent) =>
          bar.at(
            sent / events,
            `${sent} of ${events}, ${Math.round((1000 * sent) / (engines.clock.monotonic() - startedAt))}/s`,
          ),
      },
    )
    bar.end()
    const report = await auditSettled(engines, { waitMs, signal })
    const [found] = await engines.warehouse.query<{ rows: string }>(
      'select count() as rows from events where startsWith(distinct_id, {prefix:String})',
      { parameters: { prefix: `load-${run}-` } },
    )
    const summary = summarise(result, {
      rows: Number(found?.rows ?? 0),
      queryableSeconds: (engines.clock.monotonic() - startedAt) / 1000,
    })
    const isWhole = summary.rows === result.acknowledged
    terminal.out(
      isJson
        ? json({ ...summary, audit: report })
        : `${describeLoad(result, summary)}\n${describeAudit(terminal, report)}`,
    )
    return isWhole && report.isBalanced && result.refused === 0 ? 0 : 3
  },
}

function count(
  options: CommandContext['options'],
  name: string,
  ...[fallback, least]: [number, number]
): number {
  const text = options[name]
  if (typeof text !== 'string') return fallback
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least)
    throw new UsageError(`--${name} takes a whole number from ${least} on.`)
  return value
}

type Summary = {
  acknowledged: number
  refused: number
  acknowledgedPerSecond: number
  latencyMs: LoadResult['latency']
  rows: number
  rowsPerSecond: number
}

function summarise(result: LoadResult, rows: { rows: number; queryableSeconds: number }): Summary {
  return {
    acknowledged: result.acknowledged,
    refused: result.refused,
    acknowledgedPerSecond: Math.round(result.acknowledged / result.seconds),
    latencyMs: result.latency,
    rows: rows.rows,
    rowsPerSecond: Math.round(rows.rows / rows.queryableSeconds),
  }
}

function describeLoad(result: LoadResult, summary: Summary): string {
  const lines = [
    `${summary.acknowledged} events acknowledged in ${result.seconds.toFixed(1)} s, ${summary.acknowledgedPerSecond}/s; answers took ${summary.latencyMs.p50} ms (median), ${summary.latencyMs.p99} ms (99th of 100), ${summary.latencyMs.max} ms (longest)`,
    `${summary.rows} of them are rows, ${summary.rowsPerSecond}/s from first sent to last queryable`,
    ...(result.repeated > 0 ? [`${result.repeated} requests had to be sent again`] : []),
    ...Object.entries(result.refusals).map(([reason, times]) => `${times} requests were refused: ${reason}`),
  ]
  return `${lines.join('\n')}\n`
}
