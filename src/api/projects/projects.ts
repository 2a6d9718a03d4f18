/**
 * Projects. PostHog calls the row a team; Rowmill keeps project and team one to one and uses the same number
 * for both.
 */
import type { Database, DatabaseSession } from '../../ports/database.ts'
import type { Random } from '../../ports/random.ts'
import { projectChannel } from './project-changes.ts'

export const cookielessModes = ['disabled', 'stateless', 'stateful'] as const
export type CookielessMode = (typeof cookielessModes)[number]

export type Project = {
  id: number
  uuid: string
  name: string
  apiToken: string
  timezone: string
  anonymizeIps: boolean
  cookielessMode: CookielessMode
  dropEventsOlderThanSeconds: number | null
  personProcessingOptOut: boolean
  heatmapsOptIn: boolean | null
  autocaptureOptOut: boolean
  autocaptureExceptionsOptIn: boolean
  captureDeadClicks: boolean
  sessionRecordingOptIn: boolean
  captureConsoleLogOptIn: boolean
  ingestedEvent: boolean
  createdAt: string
  updatedAt: string
}

/** What can be chosen; the rest follows. */
export type ProjectSettings = Partial<
  Omit<Project, 'id' | 'uuid' | 'createdAt' | 'updatedAt' | 'ingestedEvent'>
>

const columnOf = {
  name: 'name',
  apiToken: 'api_token',
  timezone: 'timezone',
  anonymizeIps: 'anonymize_ips',
  cookielessMode: 'cookieless_server_hash_mode',
  dropEventsOlderThanSeconds: 'drop_events_older_than_seconds',
  personProcessingOptOut: 'person_processing_opt_out',
  heatmapsOptIn: 'heatmaps_opt_in',
  autocaptureOptOut: 'autocapture_opt_out',
  autocaptureExceptionsOptIn: 'autocapture_exceptions_opt_in',
  captureDeadClicks: 'capture_dead_clicks',
  sessionRecordingOptIn: 'session_recording_opt_in',
  captureConsoleLogOptIn: 'capture_console_log_opt_in',
} as const satisfies Record<keyof ProjectSettings, string>

type TeamRow = Record<string, unknown>

export function generateToken(random: Random): string {
  return `phc_${random.bytes(32).toString('base64url').replaceAll(/[-_]/g, 'x')}`
}

export async function createProject(
  database: DatabaseSession,
  settings: ProjectSettings & { name: string; apiToken: string },
): Promise<Project> {
  const entries = assignments(settings)
  const names = entries.map(([column]) => column)
  const places = entries.map((_, index) => `$${index + 1}`)
  const rows = await database.query<TeamRow>(
    `with next as (select nextval(pg_get_serial_sequence('posthog_team', 'id')) as id),
     made as (insert into posthog_team (id, project_id, ${names.join(', ')})
       select id, id, ${places.join(', ')} from next returning *)
     ${andTell('made', entries.length + 1)}`,
    [...entries.map(([, value]) => value), projectChannel],
  )
  return toProject(rows[0])
}

export async function updateProject(
  database: DatabaseSession,
  id: number,
  settings: ProjectSettings,
): Promise<Project | undefined> {
  const entries = assignments(settings)
  const sets = ['updated_at = now()', ...entries.map(([column], index) => `${column} = $${index + 2}`)]
  const rows = await database.query<TeamRow>(
    `with changed as (update posthog_team set ${sets.join(', ')} where id = $1 returning *)
     ${andTell('changed', entries.length + 2)}`,
    [id, ...entries.map(([, value]) => value), projectChannel],
  )
  return rows.length === 0 ? undefined : toProject(rows[0])
}

/** Answers the rows of `from` and sends the news of them; the news leaves when the statement is committed. */
function andTell(from: string, place: number): string {
  return `select ${from}.*, pg_notify($${place}, ${from}.api_token) from ${from}`
}

export async function listProjects(database: DatabaseSession): Promise<Project[]> {
  return (await database.query<TeamRow>('select * from posthog_team order by id')).map(toProject)
}

export async function findProject(database: DatabaseSession, id: number): Promise<Project | undefined> {
  const rows = await database.query<TeamRow>('select * from posthog_team where id = $1', [id])
  return rows.length === 0 ? undefined : toProject(rows[0])
}

export async function findProjectByToken(
  database: DatabaseSession,
  token: string,
): Promise<Project | undefined> {
  if (!/^[\x21-\x7e]{1,64}$/.test(token)) return undefined
  const rows = await database.query<TeamRow>('select * from posthog_team where api_token = $1', [token])
  return rows.length === 0 ? undefined : toProject(rows[0])
}

/** Project 1 with its token, made at the first start. Later starts find it. */
export async function ensureFirstProject(
  database: Database,
  choose: () => { apiToken: string },
): Promise<{ project: Project; isNew: boolean }> {
  return database.withLock('first-project', async () => {
    const [first] = await listProjects(database)
    if (first !== undefined) return { project: first, isNew: false }
    return { project: await createProject(database, { name: 'Default project', ...choose() }), isNew: true }
  })
}

function assignments(settings: ProjectSettings): [string, unknown][] {
  const entries: [string, unknown][] = []
  for (const [key, column] of Object.entries(columnOf)) {
    const value = settings[key as keyof typeof columnOf]
    if (value === undefined) continue
    entries.push([
      column,
      key === 'cookielessMode' ? cookielessModes.indexOf(value as CookielessMode) : value,
    ])
  }
  return entries
}

function toProject(row: TeamRow | undefined): Project {
  if (row === undefined) throw new Error('a statement that returns a project returned none')
  const project: Record<string, unknown> = {
    id: row.id,
    uuid: row.uuid,
    ingestedEvent: row.ingested_event,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
  for (const [key, column] of Object.entries(columnOf)) project[key] = row[column]
  project.cookielessMode = cookielessModes[Number(row.cookieless_server_hash_mode)]
  return project as Project
}
