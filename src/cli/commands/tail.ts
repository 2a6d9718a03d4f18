import { type TailLine, tailLog } from '../../api/tail/tail.ts'
import { joinEngines } from '../../platform/join.ts'
import { type Command, type Terminal, UsageError } from '../command.ts'
import { clean, colour } from '../output.ts'

export const tailCommand: Command = {
  name: 'tail',
  summary: 'Show events as they become ready, and drops with their reasons.',
  usage: 'tail [--event <name>] [--distinct-id <id>] [--where key=value]… [--drops] [--since <minutes>]',
  options: {
    event: {
      kind: 'text',
      placeholder: 'name',
      description: 'Only events of this name; * stands for anything.',
    },
    'distinct-id': { kind: 'text', placeholder: 'id', description: 'Only events of this distinct id.' },
    where: {
      kind: 'list',
      placeholder: 'key=value',
      description: 'Only events with this property; may be repeated.',
    },
    drops: { kind: 'flag', description: 'Only events that were dropped.' },
    since: { kind: 'text', placeholder: 'minutes', description: 'Begin this long ago instead of now.' },
  },
  async run({ config, options, terminal, isJson, signal }) {
    const filter = {
      event: typeof options.event === 'string' ? options.event : undefined,
      distinctId: typeof options['distinct-id'] === 'string' ? options['distinct-id'] : undefined,
      properties: (Array.isArray(options.where) ? options.where : []).map(pair),
      onlyDrops: options.drops === true,
    }
    const sinceMinutes = typeof options.since === 'string' ? Number(options.since) : undefined
    if (options.since === '' || (sinceMinutes !== undefined && !(sinceMinutes >= 0)))
      throw new UsageError('--since takes minutes.')
    await using engines = await joinEngines(config().config)
    const { tailLinesPerSecondMax } = config().config.api
    for await (const line of tailLog(engines, filter, {
      sinceMs: sinceMinutes === undefined ? undefined : sinceMinutes * 60_000,
      linesPerSecondMax: tailLinesPerSecondMax,
      signal,
    }))
      terminal.out(isJson ? `${JSON.stringify(line)}\n` : describeLine(terminal, line))
    return 0
  },
}

function pair(text: string): [key: string, value: string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`--where takes key=value, not ${JSON.stringify(text)}.`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function describeLine(terminal: Terminal, line: TailLine): string {
  if (line.kind === 'skipped')
    return colour(
      terminal,
      'yellow',
      `… ${line.skipped} more were not shown: they come faster than ${line.linesPerSecondMax} a second\n`,
    )
  const time = line.time.slice(11, 23)
  const head = `${colour(terminal, 'dim', time)} ${clean(line.event).padEnd(24)} ${clean(line.distinctId).padEnd(28)}`
  const rest =
    line.kind === 'drop'
      ? colour(terminal, 'yellow', clean(`dropped: ${line.reason}`))
      : colour(terminal, 'dim', clean(line.summary))
  return `${head} ${rest}\n`
}
