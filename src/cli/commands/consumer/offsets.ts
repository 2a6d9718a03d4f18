import { joinEngines } from '../../../platform/join.ts'
import { openOwnLog } from '../../../platform/topic-writer.ts'
import type { GroupPosition, Log, TopicDescription } from '../../../ports/log.ts'
import { type Command, type CommandContext, type ExitCode, UsageError } from '../../command.ts'
import { json, table } from '../../output.ts'

export const offsetsCommand: Command = {
  name: 'offsets',
  summary: 'Show where groups stand on the log, set where one goes on, forget one.',
  usage:
    'offsets [list | reset --group <name> --topic <name> --to <place> | forget --group <name>] [--group <name>] [--topic <name>] [--partition <n>]',
  wordsMax: 1,
  options: {
    group: { kind: 'text', placeholder: 'name', description: 'This group.' },
    topic: { kind: 'text', placeholder: 'name', description: 'This topic.' },
    partition: { kind: 'text', placeholder: 'n', description: 'This partition; without it, all.' },
    to: {
      kind: 'text',
      placeholder: 'place',
      description:
        'earliest, latest, an offset, or a time such as 2026-01-02T03:04:05Z (reset). Nothing may run on the data folder.',
    },
  },
  async run(context) {
    const [action = 'list'] = context.positionals
    if (action === 'list') return await list(context)
    if (action === 'reset') return await reset(context)
    if (action === 'forget') return await forget(context)
    throw new UsageError(`offsets does not know ${action}.`)
  },
}

type Standing = GroupPosition & { start: number; end: number }

async function list(context: CommandContext): Promise<ExitCode> {
  const wanted = wantedOf(context)
  await using engines = await joinEngines(context.config().config)
  const standings = await standingsOf(engines.log, wanted)
  print(context, standings)
  return 0
}

function print({ terminal, isJson }: CommandContext, standings: readonly Standing[]): void {
  const rows = standings.map((one) => ({ ...one, waiting: one.end - Math.max(one.start, one.position) }))
  if (isJson) {
    terminal.out(json(rows.map(({ intended, ...row }) => ({ ...row, intended: intended ?? null }))))
    return
  }
  terminal.out(
    table(terminal, rows, [
      { title: 'group', value: ({ group }) => group },
      { title: 'topic', value: ({ topic }) => topic },
      { title: 'partition', value: ({ partition }) => String(partition), isNumber: true },
      { title: 'start', value: ({ start }) => String(start), isNumber: true },
      { title: 'position', value: ({ position }) => String(position), isNumber: true },
      { title: 'end', value: ({ end }) => String(end), isNumber: true },
      { title: 'waiting', value: ({ waiting }) => String(waiting), isNumber: true },
    ]),
  )
}

type Wanted = { group: string | undefined; topic: string | undefined; partition: number | undefined }

function wantedOf({ options }: CommandContext): Wanted {
  const text = (name: string) => (typeof options[name] === 'string' ? options[name] : undefined)
  const partition = text('partition')
  if (partition !== undefined && !/^\d{1,6}$/.test(partition))
    throw new UsageError('--partition takes a number.')
  return {
    group: text('group'),
    topic: text('topic'),
    partition: partition === undefined ? undefined : Number(partition),
  }
}

async function standingsOf(log: Pick<Log, 'describe' | 'positions'>, wanted: Wanted): Promise<Standing[]> {
  const [positions, topics] = [await log.positions(wanted.group), await log.describe()]
  return positions
    .filter(({ topic }) => wanted.topic === undefined || topic === wanted.topic)
    .filter(({ partition }) => wanted.partition === undefined || partition === wanted.partition)
    .map((position) => ({ ...position, ...boundOf(topics, position) }))
}

function boundOf(topics: readonly TopicDescription[], at: { topic: string; partition: number }) {
  return topics.find(({ name }) => name === at.topic)?.bounds[at.partition] ?? { start: 0, end: 0 }
}

async function reset(context: CommandContext): Promise<ExitCode> {
  const { group, topic, partition } = wantedOf(context)
  const { to } = context.options
  if (group === undefined || topic === undefined || typeof to !== 'string')
    throw new UsageError('offsets reset needs --group, --topic and --to.')
  const place = placeOf(to)
  await using log = await openOwnLog(context.config().config)
  const described = (await log.describe()).find(({ name }) => name === topic)
  if (described === undefined) throw new UsageError(`There is no topic ${topic}.`)
  const partitions = partition === undefined ? [...described.bounds.keys()] : [partition]
  const targets = await Promise.all(
    partitions.map(async (one) => {
      const bound = described.bounds[one]
      if (bound === undefined) throw new UsageError(`The topic ${topic} has no partition ${one}.`)
      return { partition: one, offset: await offsetOf(log, { place, topic, partition: one, bound }) }
    }),
  )
  for (const target of targets) await log.reset({ group, topic, ...target })
  print(context, await standingsOf(log, { group, topic, partition }))
  return 0
}

/** For a storage that is no longer filled: what its group has not read would stay on the log for ever. */
async function forget({ options, config, terminal, isJson }: CommandContext): Promise<ExitCode> {
  const { group } = options
  if (typeof group !== 'string') throw new UsageError('offsets forget needs --group.')
  await using log = await openOwnLog(config().config)
  const known = await log.positions(group)
  if (known.length === 0) {
    terminal.err(`There is no group ${group}.\n`)
    return 3
  }
  await log.forget(group)
  terminal.out(isJson ? json({ group, forgotten: true }) : `The group ${group} is forgotten.\n`)
  return 0
}

type Place =
  | { kind: 'earliest' }
  | { kind: 'latest' }
  | { kind: 'offset'; offset: number }
  | { kind: 'time'; ms: number }

function placeOf(text: string): Place {
  if (text === 'earliest' || text === 'latest')
    return text === 'latest' ? { kind: 'latest' } : { kind: 'earliest' }
  if (/^\d{1,15}$/.test(text)) return { kind: 'offset', offset: Number(text) }
  const ms = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms))
    throw new UsageError('--to takes earliest, latest, an offset, or a time such as 2026-01-02T03:04:05Z.')
  return { kind: 'time', ms }
}

type Target = {
  place: Place
  topic: string
  partition: number
  bound: { start: number; end: number }
}

async function offsetOf(log: Log, { place, topic, partition, bound }: Target): Promise<number> {
  if (place.kind === 'earliest') return bound.start
  if (place.kind === 'latest') return bound.end
  if (place.kind === 'time') return await log.offsetAt(topic, partition, place.ms)
  if (place.offset < bound.start || place.offset > bound.end)
    throw new UsageError(`Partition ${partition} of ${topic} has the offsets ${bound.start} to ${bound.end}.`)
  return place.offset
}
