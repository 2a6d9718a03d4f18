import { z } from 'zod'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Database } from '../../ports/database.ts'
import type { Random } from '../../ports/random.ts'
import { requireUnscoped } from '../auth/scope.ts'
import { invalidInput } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'
import type { ProjectChanges } from './project-changes.ts'
import {
  cookielessModes,
  createProject,
  generateToken,
  listProjects,
  type Project,
  updateProject,
} from './projects.ts'

const timezones = new Set(Intl.supportedValuesOf('timeZone').concat('UTC', 'GMT'))

const settingsShape = {
  name: plainText(200, 1),
  timezone: z.string().refine((zone) => timezones.has(zone), 'is no IANA time zone, such as Europe/Berlin'),
  anonymize_ips: z.boolean(),
  cookieless_mode: z.enum(cookielessModes),
  drop_events_older_than_seconds: z.number().int().min(1).max(2_147_483_647).nullable(),
  person_processing_opt_out: z.boolean(),
  heatmaps_opt_in: z.boolean().nullable(),
  autocapture_opt_out: z.boolean(),
  autocapture_exceptions_opt_in: z.boolean(),
  capture_dead_clicks: z.boolean(),
  session_recording_opt_in: z.boolean(),
  capture_console_log_opt_in: z.boolean(),
} as const

/** What `PATCH` takes, and `project update` on the command line. */
export const projectSettingsSchema = z.strictObject(settingsShape).partial()
/** What `POST` takes, and `project create` on the command line. */
export const newProjectSchema = projectSettingsSchema.extend({
  name: settingsShape.name,
  api_token: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'is 1 to 64 printable ASCII characters without blanks')
    .refine((token) => !token.startsWith('phx_'), 'must not begin with phx_, which marks a personal API key')
    .optional(),
})
export const projectSchema = z.strictObject({
  id: z.number().int(),
  uuid: z.uuid(),
  api_token: z.string(),
  ...settingsShape,
  timezone: z.string(),
  ingested_event: z.boolean(),
  created_at: z.string(),
  updated_at: z.string(),
})

export type ProjectPorts = { database: Database; random: Random; changes?: ProjectChanges }

export function createProjectRoutes(ports: ProjectPorts): ApiRoute[] {
  const { database, random, changes } = ports
  return [
    defineRoute({
      method: 'GET',
      path: '/api/projects',
      summary: 'The projects that the key may see',
      tag: 'projects',
      answers: { 200: z.strictObject({ results: z.array(projectSchema) }) },
      async run({ key }) {
        const projects = (await listProjects(database)).filter(({ id }) => key.projects?.includes(id) ?? true)
        return { status: 200, body: { results: projects.map(projectBody) } }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/projects',
      summary: 'Create a project; its token is made up unless given',
      tag: 'projects',
      body: newProjectSchema,
      answers: { 201: projectSchema },
      async run({ key, body }) {
        requireUnscoped(key, 'create a project')
        const project = await addProject(database, random, body)
        changes?.tell(project.apiToken)
        return { status: 201, body: projectBody(project) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id',
      summary: 'One project',
      tag: 'projects',
      answers: { 200: projectSchema },
      async run({ project }) {
        return { status: 200, body: projectBody(project) }
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/projects/:project_id',
      summary: 'Change settings of a project; events acknowledged after the answer follow them',
      tag: 'projects',
      body: projectSettingsSchema,
      answers: { 200: projectSchema },
      async run({ project, body }) {
        const updated = await updateProject(database, project.id, fromBody(body))
        changes?.tell(project.apiToken)
        return { status: 200, body: projectBody(updated ?? project) }
      },
    }),
  ]
}

/** Creates a project from checked input; a token that is taken is the caller's mistake. */
export async function addProject(
  database: Database,
  random: Random,
  body: z.output<typeof newProjectSchema>,
): Promise<Project> {
  try {
    return await createProject(database, {
      ...fromBody(body),
      name: body.name,
      apiToken: body.api_token ?? generateToken(random),
    })
  } catch (error) {
    if (isRowmillError(error, 'DATABASE_REFUSED') && error.details.sqlState === '23505')
      throw invalidInput('Another project has this token.', 'api_token')
    throw error
  }
}

export function fromBody(body: z.output<typeof projectSettingsSchema>): Partial<Project> {
  const settings: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(body)) if (key !== 'api_token') settings[camel(key)] = value
  return settings
}

export function projectBody(project: Project): z.output<typeof projectSchema> {
  const body = Object.fromEntries(Object.entries(project).map(([key, value]) => [snake(key), value]))
  return projectSchema.parse(body)
}

function camel(key: string): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
