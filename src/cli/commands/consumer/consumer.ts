import { resolve } from 'node:path'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { Config } from '../../../platform/config/config.ts'
import { joinEngines } from '../../../platform/join.ts'
import { placesOf } from '../../../platform/needs.ts'
import { chooseStorages, runDryStorages } from '../../../platform/roles/consumer-role.ts'
import { readRunFile } from '../../../platform/run-file.ts'
import { serve } from '../../../platform/serve.ts'
import { createMetrics } from '../../../telemetry/metrics.ts'
import { type Command, type CommandContext, type ExitCode, UsageError } from '../../command.ts'
import { json } from '../../output.ts'
import { consumerOptions, consumerSettings } from './consumer-options.ts'

/** The same program, for the changes of rows alone. */
export const replacerCommand: Command = {
  name: 'replacer',
  summary: 'Carry out the replacements of storages, apart from their consumers.',
  usage: 'replacer --storage <name> [--storage <name>]… [options]',
  options: consumerOptions,
  run: (context) =>
    consume(context, { ...consumerSettings(context.options), 'consumer.replacer.runs': 'alone' }),
}

export const consumerCommand: Command = {
  name: 'consumer',
  summary: 'Fill storages from their topics: Rowmill with the role consumer alone.',
  usage: 'consumer --storage <name> [--storage <name>]… [options]',
  options: consumerOptions,
  run: (context) => consume(context, consumerSettings(context.options)),
}

async function consume(context: CommandContext, settings: Record<string, string>): Promise<ExitCode> {
  const { config } = context.config(settings)
  if (config.consumer.storages.length === 0)
    throw new UsageError('Which storage? "rowmill storage list" shows them; --storage names one.')
  if (config.consumer.dryRunMs !== undefined) return await runDry(config, context)
  const running = readRunFile(config.dataDir)
  if (running !== undefined && placesOf(config).log === 'embedded') throw ownedLog(config, running.pid)
  context.tellStopLimit(config.shutdownMs)
  await serve(config, {
    signal: context.signal,
    abort: context.abandon,
    onReady: ({ url, dataDir }) => {
      const names = config.consumer.storages.join(', ')
      context.terminal.err(`Rowmill consumes ${names}; status at ${url}, data in ${dataDir}\n`)
    },
  })
  return 0
}

function ownedLog(config: Config, pid: number): RowmillError {
  const storages = JSON.stringify(config.consumer.storages)
  return new RowmillError(
    'LOG_LOCKED',
    `Rowmill runs on ${resolve(config.dataDir)} as process ${pid} and owns its log: set consumer.storages to ${storages} there and start it again, or give this consumer another --data-dir.`,
  )
}

/** Reads the log beside whoever owns it, and says what would have been done. */
async function runDry(config: Config, { signal, terminal, isJson }: CommandContext): Promise<ExitCode> {
  const storages = await chooseStorages(config.consumer)
  await using engines = await joinEngines(config)
  const metrics = createMetrics()
  await runDryStorages({ ...engines, metrics }, storages, {
    consumer: config.consumer,
    stream: config.stream,
    signals: { stop: signal, abort: new AbortController().signal },
    liveOf: () => () => ({}),
  })
  const summary: Record<string, unknown>[] = []
  for (const { name, stream } of storages) {
    const labels = { group: config.consumer.group ?? `datasets-${name}`, topic: stream.topic }
    const count = (outcome: string) => metrics.value('stream_records_total', { ...labels, outcome })
    const counts = { rows: await count('next'), skipped: await count('drop') }
    summary.push({ storage: name, ...counts, deadLetters: await count('dead-letter') })
  }
  terminal.out(isJson ? json(summary) : summary.map((row) => `${Object.values(row).join(' ')}\n`).join(''))
  return 0
}
