import { deleteKey, generateKey, listKeys, storeKey } from '../../api/auth/keys.ts'
import { listProjects } from '../../api/projects/projects.ts'
import { type JoinedEngines, joinEngines } from '../../platform/join.ts'
import { type Command, type CommandContext, UsageError } from '../command.ts'
import { json, table } from '../output.ts'

export const keysCommand: Command = {
  name: 'keys',
  summary: 'Show project tokens and API keys; create or revoke API keys.',
  usage: 'keys [list | create <label> [--project <id>]… | revoke <id>]',
  wordsMax: 2,
  options: {
    project: {
      kind: 'list',
      placeholder: 'id',
      description: 'Limit the new key to this project; may be repeated.',
    },
  },
  async run({ config, options, positionals, terminal, isJson }) {
    const [action = 'list', subject] = positionals
    if (!['list', 'create', 'revoke'].includes(action)) throw new UsageError(`keys does not know ${action}.`)
    if (action === 'create' && subject === undefined)
      throw new UsageError('A new key needs a label: rowmill keys create laptop.')
    if (action === 'revoke' && subject === undefined)
      throw new UsageError('Which key? "rowmill keys" shows their ids.')
    const scoped = (Array.isArray(options.project) ? options.project : []).map(Number)
    if (scoped.some((id) => !Number.isInteger(id) || id < 1 || id > 2_147_483_647))
      throw new UsageError('--project takes a project number.')
    await using engines = await joinEngines(config().config)
    if (action === 'list') {
      terminal.out(await describeKeys(engines, terminal, isJson))
      return 0
    }
    if (action === 'create') {
      const value = generateKey(engines.random)
      const key = await storeKey(engines.database, {
        value,
        label: subject ?? '',
        projects: scoped.length === 0 ? null : scoped,
      })
      terminal.out(isJson ? json({ ...key, value }) : `${value}\n`)
      if (!isJson) terminal.err('This is the only time that the key is shown.\n')
      return 0
    }
    const isGone = uuid.test(subject ?? '') && (await deleteKey(engines.database, subject ?? ''))
    if (!isGone) terminal.err(`There is no key ${subject}.\n`)
    return isGone ? 0 : 3
  },
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

async function describeKeys(
  engines: JoinedEngines,
  terminal: CommandContext['terminal'],
  isJson: boolean,
): Promise<string> {
  const projects = await listProjects(engines.database)
  const keys = await listKeys(engines.database)
  if (isJson)
    return json({ projects: projects.map(({ id, name, apiToken }) => ({ id, name, token: apiToken })), keys })
  const tokens = table(terminal, projects, [
    { title: 'project', value: ({ id }) => String(id), isNumber: true },
    { title: 'token for SDKs', value: ({ apiToken }) => apiToken },
    { title: 'name', value: ({ name }) => name },
  ])
  const stored = table(terminal, keys, [
    { title: 'API key', value: ({ mask }) => mask },
    { title: 'label', value: ({ label }) => label },
    { title: 'projects', value: ({ projects: scoped }) => scoped?.join(', ') ?? 'all' },
    { title: 'last used', value: ({ lastUsedAt }) => lastUsedAt ?? 'never' },
    { title: 'id', value: ({ id }) => id },
  ])
  return `${tokens}\n${stored}`
}
