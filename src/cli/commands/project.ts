import type { z } from 'zod'
import { Problem } from '../../api/problem.ts'
import {
  addProject,
  fromBody,
  newProjectSchema,
  projectBody,
  projectSettingsSchema,
} from '../../api/projects/project-routes.ts'
import { listProjects, type Project, updateProject } from '../../api/projects/projects.ts'
import { type JoinedEngines, joinEngines } from '../../platform/join.ts'
import { type Command, type CommandContext, UsageError } from '../command.ts'
import { json, table } from '../output.ts'

/** Options and the settings that they stand for. */
const settingOptions = {
  name: 'name',
  token: 'api_token',
  timezone: 'timezone',
  'anonymize-ips': 'anonymize_ips',
  cookieless: 'cookieless_mode',
  'drop-older-than': 'drop_events_older_than_seconds',
  'opt-out-persons': 'person_processing_opt_out',
  heatmaps: 'heatmaps_opt_in',
  'opt-out-autocapture': 'autocapture_opt_out',
  exceptions: 'autocapture_exceptions_opt_in',
  'dead-clicks': 'capture_dead_clicks',
  recording: 'session_recording_opt_in',
  'recording-console': 'capture_console_log_opt_in',
} as const

export const projectCommand: Command = {
  name: 'project',
  summary: 'Create, list and change projects.',
  usage: 'project [list | create <name> [settings] | update <id> [settings]]',
  wordsMax: 2,
  options: {
    name: { kind: 'text', placeholder: 'text', description: 'A new name (update).' },
    token: {
      kind: 'text',
      placeholder: 'token',
      description: 'The token for SDKs; made up unless given (create).',
    },
    timezone: { kind: 'text', placeholder: 'zone', description: 'An IANA time zone, such as Europe/Berlin.' },
    'anonymize-ips': { kind: 'text', placeholder: 'true|false', description: 'Do not keep IP addresses.' },
    cookieless: { kind: 'text', placeholder: 'mode', description: 'disabled, stateless or stateful.' },
    'drop-older-than': {
      kind: 'text',
      placeholder: 'seconds|never',
      description: 'Drop events older than this when they arrive.',
    },
    'opt-out-persons': {
      kind: 'text',
      placeholder: 'true|false',
      description: 'Do not make person profiles.',
    },
    heatmaps: { kind: 'text', placeholder: 'true|false', description: 'Let browsers send heatmap data.' },
    'opt-out-autocapture': {
      kind: 'text',
      placeholder: 'true|false',
      description: 'Tell browsers not to autocapture.',
    },
    exceptions: {
      kind: 'text',
      placeholder: 'true|false',
      description: 'Tell browsers to send uncaught errors.',
    },
    'dead-clicks': {
      kind: 'text',
      placeholder: 'true|false',
      description: 'Tell browsers to send clicks that do nothing.',
    },
    recording: { kind: 'text', placeholder: 'true|false', description: 'Tell browsers to record sessions.' },
    'recording-console': {
      kind: 'text',
      placeholder: 'true|false',
      description: 'Record the browser console too.',
    },
  },
  async run({ config, options, positionals, terminal, isJson }) {
    const [action = 'list', subject] = positionals
    const wish = wishOf(action, subject, settingsFrom(options))
    await using engines = await joinEngines(config().config)
    if (wish.kind === 'list') {
      const projects = await listProjects(engines.database)
      terminal.out(isJson ? json(projects.map(projectBody)) : projectTable(terminal, projects))
      return 0
    }
    const project = await change(engines, wish)
    if (project === undefined) {
      terminal.err(`There is no project ${subject}.\n`)
      return 3
    }
    terminal.out(isJson ? json(projectBody(project)) : projectTable(terminal, [project]))
    return 0
  },
}

type Wish =
  | { kind: 'list' }
  | { kind: 'create'; project: z.output<typeof newProjectSchema> }
  | { kind: 'update'; id: number; settings: z.output<typeof projectSettingsSchema> }

/** What was asked for, checked before any engine is started. */
function wishOf(action: string, subject: string | undefined, settings: Record<string, unknown>): Wish {
  if (action === 'list') return { kind: 'list' }
  if (action === 'create') {
    if (subject === undefined)
      throw new UsageError('A new project needs a name: rowmill project create shop.')
    return { kind: 'create', project: check(newProjectSchema.safeParse({ ...settings, name: subject })) }
  }
  if (action !== 'update') throw new UsageError(`project does not know ${action}.`)
  const id = Number(subject)
  if (!Number.isInteger(id) || id < 1 || id > 2_147_483_647)
    throw new UsageError('Which project? "rowmill project list" shows their numbers.')
  if ('api_token' in settings) throw new UsageError('The token of a project cannot be changed.')
  if (Object.keys(settings).length === 0) throw new UsageError('Nothing to change was given.')
  return { kind: 'update', id, settings: check(projectSettingsSchema.safeParse(settings)) }
}

async function change(
  engines: JoinedEngines,
  wish: Exclude<Wish, { kind: 'list' }>,
): Promise<Project | undefined> {
  if (wish.kind === 'update') return updateProject(engines.database, wish.id, fromBody(wish.settings))
  try {
    return await addProject(engines.database, engines.random, wish.project)
  } catch (error) {
    if (error instanceof Problem) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** Options that stay text whatever they hold. */
const textOptions: ReadonlySet<string> = new Set(['name', 'token', 'timezone', 'cookieless'])

function settingsFrom(options: CommandContext['options']): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  for (const [option, key] of Object.entries(settingOptions)) {
    const text = options[option]
    if (typeof text !== 'string') continue
    if (textOptions.has(option)) settings[key] = text
    else if (option === 'drop-older-than') settings[key] = text === 'never' ? null : Number(text)
    else settings[key] = text === 'true' ? true : text === 'false' ? false : text
  }
  return settings
}

function check<T>(
  parsed:
    | { success: true; data: T }
    | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } },
): T {
  if (parsed.success) return parsed.data
  throw new UsageError(
    parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
  )
}

function projectTable(terminal: CommandContext['terminal'], projects: readonly Project[]): string {
  return table(terminal, projects, [
    { title: 'id', value: ({ id }) => String(id), isNumber: true },
    { title: 'token for SDKs', value: ({ apiToken }) => apiToken },
    { title: 'zone', value: ({ timezone }) => timezone },
    { title: 'cookieless', value: ({ cookielessMode }) => cookielessMode },
    { title: 'events', value: ({ ingestedEvent }) => (ingestedEvent ? 'arrive' : 'none yet') },
    { title: 'name', value: ({ name }) => name },
  ])
}
