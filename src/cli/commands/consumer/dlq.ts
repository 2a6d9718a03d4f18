import { setTimeout as sleep } from 'node:timers/promises'
import {
  type DeadLetter,
  type DeadLetterAction,
  type DeadLetterFilter,
  listDeadLetters,
  readDeadLetter,
} from '../../../datasets/dead-letters/dead-letters.ts'
import { readDeadLetterRequests, requestDeadLetters } from '../../../datasets/dead-letters/requests.ts'
import { findStorage, readStorages } from '../../../datasets/storage/read-storage.ts'
import { topics } from '../../../event/topics.ts'
import { type JoinedEngines, joinEngines } from '../../../platform/join.ts'
import type { RecordPosition } from '../../../ports/log.ts'
import { type Command, type CommandContext, type ExitCode, type Terminal, UsageError } from '../../command.ts'
import { clean, json, table } from '../../output.ts'

const listedByDefault = 50
const actedOnMax = 100_000
const valueTextMax = 20_000

export const dlqCommand: Command = {
  name: 'dlq',
  summary: 'Look at dead letters, replay or drop them.',
  usage: 'dlq [list | show <place> | replay [place…] | drop [place…]] [--storage <name>] [--reason <reason>]',
  wordsMax: 1000,
  options: {
    storage: {
      kind: 'text',
      placeholder: 'name',
      description: 'Only dead letters of this storage: a name, or the path of its file.',
    },
    stage: {
      kind: 'text',
      placeholder: 'group',
      description: 'Only those that this group set aside, such as ingest.',
    },
    reason: {
      kind: 'text',
      placeholder: 'reason',
      description: 'Only those with this reason, such as invalid_message.',
    },
    limit: {
      kind: 'text',
      placeholder: 'count',
      description: `How many to list, the newest of each topic (default ${listedByDefault}).`,
    },
    handled: { kind: 'flag', description: 'List those too that were replayed or dropped.' },
    all: { kind: 'flag', description: 'Replay or drop all that are listed, without naming places.' },
    wait: {
      kind: 'text',
      placeholder: 'seconds',
      description: 'How long to wait until the running program has done it (default 30).',
    },
  },
  async run(context) {
    const [action = 'list', ...places] = context.positionals
    switch (action) {
      case 'list':
        if (places.length > 0) throw new UsageError('dlq list takes no places; dlq show does.')
        return await list(context)
      case 'show':
        return await show(context, places)
      case 'replay':
      case 'drop':
        return await act(context, action, places)
      default:
        throw new UsageError(`dlq does not know ${action}.`)
    }
  },
}

async function list(context: CommandContext): Promise<ExitCode> {
  const { terminal, isJson } = context
  const limit = count(context, 'limit', listedByDefault)
  const filter = await filterOf(context, limit)
  await using engines = await joinEngines(context.config().config)
  const letters = await listDeadLetters(engines, filter)
  if (isJson) {
    terminal.out(json(letters.map(letterBody)))
    return 0
  }
  terminal.out(letters.length === 0 ? 'There are no dead letters.\n' : letterTable(terminal, letters))
  if (letters.length > 0) terminal.out('\nrowmill dlq show <place> tells all about one of them.\n')
  return 0
}

async function show(context: CommandContext, words: readonly string[]): Promise<ExitCode> {
  const { terminal, isJson } = context
  const [place, ...more] = words.map(placeOf)
  if (place === undefined || more.length > 0)
    throw new UsageError('dlq show takes one place, like events_plugin_ingestion_dlq/0/17.')
  await using engines = await joinEngines(context.config().config)
  const letter = (await exists(engines, place)) ? await readDeadLetter(engines, place) : undefined
  if (letter === undefined) {
    terminal.err(`There is no dead letter at ${placeText(place)}.\n`)
    return 3
  }
  terminal.out(isJson ? json({ ...letterBody(letter), ...recordBody(letter) }) : describe(letter))
  return 0
}

async function act(
  context: CommandContext,
  action: DeadLetterAction,
  words: readonly string[],
): Promise<ExitCode> {
  const { terminal, options, isJson } = context
  const hasFilter = ['storage', 'stage', 'reason'].some((name) => options[name] !== undefined)
  const places = words.map(placeOf)
  if (places.length === 0 && !hasFilter && options.all !== true)
    throw new UsageError(`dlq ${action} needs places, a filter, or --all.`)
  const waitMs = 1000 * count(context, 'wait', 30)
  const { config } = context.config()
  await using engines = await joinEngines(config)
  const letters =
    places.length > 0
      ? places
      : (await listDeadLetters(engines, await filterOf(context, actedOnMax))).map(({ place }) => place)
  const ids = await requestDeadLetters(engines.database, { action, letters }, config.consumer.deadLetters)
  const done = await untilDone(engines, ids, { waitMs, signal: context.signal })
  const handled = done.reduce((sum, request) => sum + request.handled, 0)
  const open = done.filter(({ isFinished }) => !isFinished).length
  const errors = done.flatMap(({ error }) => error ?? [])
  if (isJson) terminal.out(json({ action, asked: letters.length, handled, open, errors }))
  else terminal.out(`${action === 'replay' ? 'Replayed' : 'Dropped'} ${handled} of ${letters.length}.\n`)
  for (const error of errors) terminal.err(`${error}\n`)
  if (open > 0)
    terminal.err(
      `${open} of ${ids.length} requests wait for a running rowmill with the role datasets or consumer: they are kept and carried out when one runs.\n`,
    )
  return open > 0 || errors.length > 0 ? 1 : 0
}

async function untilDone(
  { database }: Pick<JoinedEngines, 'database'>,
  ids: readonly number[],
  { waitMs, signal }: { waitMs: number; signal: AbortSignal },
) {
  const deadline = performance.now() + waitMs
  for (;;) {
    const requests = await readDeadLetterRequests(database, ids)
    const isOver = requests.every(({ isFinished }) => isFinished) || performance.now() >= deadline
    if (isOver || signal.aborted) return requests
    await sleep(100)
  }
}

async function filterOf(context: CommandContext, limit: number): Promise<DeadLetterFilter> {
  const { options, signal } = context
  const text = (name: string) => (typeof options[name] === 'string' ? options[name] : undefined)
  const sources = { files: context.config().config.consumer.storageFiles }
  const [storage, stage] = [text('storage'), text('stage')]
  if (storage !== undefined && stage !== undefined)
    throw new UsageError('--storage and --stage say the same; give one of them.')
  const common = { reason: text('reason'), hasHandled: options.handled === true, limit, signal }
  if (storage !== undefined) {
    const found = await findStorage(storage, sources)
    const topic = found.stream.dlqTopic ?? topics.deadLetters
    return { ...common, topics: [topic], stage: `datasets-${found.name}` }
  }
  const storages = await readStorages(sources)
  const own = storages.flatMap(({ stream }) => stream.dlqTopic ?? [])
  return { ...common, topics: [topics.deadLetters, ...own], stage }
}

async function exists({ log }: JoinedEngines, { topic, partition }: RecordPosition): Promise<boolean> {
  const found = (await log.describe()).find(({ name }) => name === topic)
  return found?.bounds[partition] !== undefined
}

function count({ options }: CommandContext, name: string, otherwise: number): number {
  const text = options[name]
  if (typeof text !== 'string') return otherwise
  if (!/^\d+$/.test(text)) throw new UsageError(`--${name} takes a number, not ${JSON.stringify(text)}.`)
  return Number(text)
}

function placeOf(word: string): RecordPosition {
  const [, topic, partition, offset] = /^(.+)\/(\d+)\/(\d+)$/.exec(word) ?? []
  if (topic === undefined)
    throw new UsageError(`A place is topic/partition/offset, not ${JSON.stringify(word)}.`)
  return { topic, partition: Number(partition), offset: Number(offset) }
}

function placeText({ topic, partition, offset }: RecordPosition): string {
  return `${topic}/${partition}/${offset}`
}

function letterTable(terminal: Terminal, letters: readonly DeadLetter[]): string {
  return table(terminal, letters, [
    { title: 'place', value: ({ place }) => placeText(place) },
    { title: 'time', value: ({ time }) => time.slice(0, 19) },
    { title: 'stage', value: ({ stage }) => clean(stage) },
    { title: 'reason', value: ({ reason }) => clean(reason) },
    { title: 'error', value: ({ error, path }) => clean(path === '' ? error : `${path}: ${error}`) },
    { title: 'handled', value: ({ handled }) => handled ?? '' },
  ])
}

function letterBody({ place, source, stage, reason, error, path, time, handled }: DeadLetter) {
  return {
    place: placeText(place),
    source: placeText(source),
    stage,
    reason,
    error,
    path,
    time,
    handled: handled ?? null,
  }
}

/** Bytes that are no text are given in base64. */
function recordBody({ record, stack }: DeadLetter) {
  const text = record.value.toString()
  const isText = Buffer.from(text).equals(record.value)
  return {
    stack,
    key: record.key?.toString() ?? null,
    headers: record.headers,
    bytes: record.value.length,
    value: isText ? text : record.value.toString('base64'),
    encoding: isText ? 'utf8' : 'base64',
  }
}

function describe(letter: DeadLetter): string {
  const { value, bytes, encoding, key, headers } = recordBody(letter)
  const shown = value.length > valueTextMax ? `${value.slice(0, valueTextMax)} … (--json prints all)` : value
  const lines = [
    `place    ${placeText(letter.place)}`,
    `from     ${placeText(letter.source)}`,
    `stage    ${clean(letter.stage)}`,
    `time     ${letter.time}`,
    `reason   ${clean(letter.reason)}`,
    `error    ${clean(letter.error)}`,
    ...(letter.path === '' ? [] : [`where    ${clean(letter.path)}`]),
    ...(letter.handled === undefined ? [] : [`handled  ${letter.handled}`]),
    `key      ${key === null ? 'none' : clean(key)}`,
    `headers  ${clean(JSON.stringify(headers))}`,
    ...(letter.stack === '' ? [] : ['stack', ...letter.stack.split('\n').map((line) => `  ${clean(line)}`)]),
    `value    ${bytes} bytes${encoding === 'utf8' ? '' : ', in base64'}`,
    clean(shown),
  ]
  return `${lines.join('\n')}\n`
}
