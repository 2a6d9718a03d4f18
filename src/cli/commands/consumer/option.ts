import { userInfo } from 'node:os'
import {
  changeLiveOption,
  checkLiveOption,
  listLiveOptionChanges,
  listLiveOptions,
  liveOptionRegister,
} from '../../../datasets/options/live-options.ts'
import { joinEngines } from '../../../platform/join.ts'
import { type Command, type CommandContext, type ExitCode, UsageError } from '../../command.ts'
import { clean, json, table } from '../../output.ts'

const changesShown = 100

export const optionCommand: Command = {
  name: 'option',
  summary: 'Show and change options of running consumers.',
  usage: 'option [list | set <name> <value> | unset <name> | history] [--storage <name>]',
  wordsMax: 3,
  options: {
    storage: {
      kind: 'text',
      placeholder: 'name',
      description: 'For this storage alone; without it, for all that have no value of their own.',
    },
  },
  async run(context) {
    const [action = 'list', name, value] = context.positionals
    switch (action) {
      case 'list':
        return await list(context)
      case 'history':
        return await history(context)
      case 'set':
        if (name === undefined || value === undefined)
          throw new UsageError(
            'option set takes a name and a value, such as: option set max_group_ids_exclude 100',
          )
        return await change(context, name, parsed(value))
      case 'unset':
        if (name === undefined) throw new UsageError('option unset takes a name.')
        return await change(context, name, undefined)
      default:
        throw new UsageError(`option does not know ${action}.`)
    }
  },
}

async function list({ config, terminal, isJson }: CommandContext): Promise<ExitCode> {
  await using engines = await joinEngines(config().config)
  const set = await listLiveOptions(engines.database)
  const rows = Object.entries(liveOptionRegister).flatMap(([name, { means, example }]) => {
    const values = set.filter((row) => row.name === name)
    if (values.length === 0) return [{ name, storage: '', value: undefined, updatedAt: '', means, example }]
    return values.map((row) => ({ ...row, means, example }))
  })
  terminal.out(
    isJson
      ? json(rows.map((row) => ({ ...row, value: row.value ?? null })))
      : table(terminal, rows, [
          { title: 'option', value: ({ name }) => name },
          { title: 'storage', value: ({ storage }) => clean(storage) },
          { title: 'value', value: ({ value }) => (value === undefined ? '' : clean(JSON.stringify(value))) },
          { title: 'meaning', value: ({ means }) => means },
        ]),
  )
  return 0
}

async function history({ config, terminal, isJson }: CommandContext): Promise<ExitCode> {
  await using engines = await joinEngines(config().config)
  const changes = await listLiveOptionChanges(engines.database, changesShown)
  terminal.out(
    isJson
      ? json(changes.map((change) => ({ ...change, value: change.value ?? null })))
      : table(terminal, changes, [
          { title: 'time', value: ({ changedAt }) => changedAt },
          { title: 'by', value: ({ changedBy }) => clean(changedBy) },
          { title: 'option', value: ({ name }) => name },
          { title: 'storage', value: ({ storage }) => clean(storage) },
          {
            title: 'value',
            value: ({ value }) => (value === undefined ? 'unset' : clean(JSON.stringify(value))),
          },
        ]),
  )
  return 0
}

async function change(
  { config, options, terminal, isJson }: CommandContext,
  name: string,
  value: unknown,
): Promise<ExitCode> {
  if (value !== undefined) checkLiveOption(name, value)
  const storage = typeof options.storage === 'string' ? options.storage : ''
  await using engines = await joinEngines(config().config)
  await changeLiveOption(engines.database, { name, storage, value, changedBy: userInfo().username })
  const where = storage === '' ? 'all storages' : storage
  if (isJson) terminal.out(json({ name, storage, value: value ?? null }))
  else
    terminal.out(
      value === undefined
        ? `${name} is unset for ${where}.\n`
        : `${name} is ${JSON.stringify(value)} for ${where}.\n`,
    )
  return 0
}

/** JSON, or else the word itself: `true`, `[1,2]`, `spans`. */
function parsed(word: string): unknown {
  try {
    return JSON.parse(word) as unknown
  } catch (error) {
    if (error instanceof SyntaxError) return word
    throw error
  }
}
