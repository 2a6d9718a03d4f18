import { LRUCache } from 'lru-cache'
import type { Clock } from '../ports/clock.ts'
import type { Database } from '../ports/database.ts'
import type { TeamsConfig } from './config.ts'

/**
 * Projects by their token. A team is PostHog's word in tables and messages for what people call a project.
 *
 * Settings are read again when they are older than the refresh interval, one statement for all tokens of a
 * batch, so a change takes effect within that time, or with the next batch when somebody tells of it. That no
 * project has a token is remembered only briefly: whoever makes a project expects its first event to arrive.
 */
export type Team = {
  id: number
  projectId: number
  timezone: string
  isIpAnonymized: boolean
  cookieless: 'disabled' | 'stateless' | 'stateful'
  /** Undefined: any age is accepted. */
  dropOlderThanSeconds: number | undefined
  isPersonProcessingOff: boolean
  isHeatmapOn: boolean
  hasIngested: boolean
}

export interface Teams {
  /** The team of each token that has one. Fails with `DATABASE_UNAVAILABLE`. */
  resolve(tokens: Iterable<string>): Promise<ReadonlyMap<string, Team>>
  /** Every later `resolve` reads the settings of this token again. */
  forget(token: string): void
  /** Notes that the first event of these teams has arrived. */
  markIngested(teams: readonly Team[]): Promise<void>
}

export type TeamRow = {
  api_token: string
  id: number
  project_id: number
  timezone: string
  anonymize_ips: boolean
  cookieless_server_hash_mode: number
  drop_events_older_than_seconds: number | null
  person_processing_opt_out: boolean
  heatmaps_opt_in: boolean | null
  ingested_event: boolean
}
type Known = { team: Team | undefined; readAtMs: number }

const tokenLengthMax = 64
const cookielessModes = ['disabled', 'stateless', 'stateful'] as const

export function createTeams(ports: { database: Database; clock: Clock }, config: TeamsConfig): Teams {
  const known = new LRUCache<string, Known>({ max: config.cacheMax })
  let forgotten = 0
  const isFresh = ({ team, readAtMs }: Known, nowMs: number) =>
    nowMs - readAtMs < (team === undefined ? config.unknownTtlMs : config.refreshIntervalMs)
  return {
    async resolve(tokens) {
      const nowMs = ports.clock.monotonic()
      const teams = new Map<string, Team>()
      const asked: string[] = []
      for (const token of new Set(tokens)) {
        const entry = known.get(token)
        if (entry === undefined || !isFresh(entry, nowMs)) asked.push(token)
        else if (entry.team !== undefined) teams.set(token, entry.team)
      }
      const before = forgotten
      const read = await readTeams(ports.database, asked.filter(canBeToken))
      for (const token of asked) {
        const team = read.get(token)
        // What was read while somebody told of a change may be what was before it.
        if (forgotten === before) known.set(token, { team, readAtMs: nowMs })
        if (team !== undefined) teams.set(token, team)
      }
      return teams
    },
    forget(token) {
      forgotten += 1
      known.delete(token)
    },
    async markIngested(teams) {
      if (teams.length === 0) return
      await ports.database.execute(
        'update posthog_team set ingested_event = true where id = any($1) and not ingested_event',
        [teams.map((team) => team.id)],
      )
      for (const team of teams) team.hasIngested = true
    },
  }
}

async function readTeams(database: Database, tokens: readonly string[]): Promise<Map<string, Team>> {
  if (tokens.length === 0) return new Map()
  const rows = await database.query<TeamRow>(
    `select api_token, id, project_id, timezone, anonymize_ips, cookieless_server_hash_mode,
       drop_events_older_than_seconds, person_processing_opt_out, heatmaps_opt_in, ingested_event
     from posthog_team where api_token = any($1)`,
    [tokens],
  )
  return new Map(rows.map((row) => [row.api_token, toTeam(row)]))
}

/** PostgreSQL refuses text with NUL, and no token is that long: such tokens are nobody's without asking. */
function canBeToken(token: string): boolean {
  return token.length > 0 && token.length <= tokenLengthMax && !token.includes('\0')
}

export function toTeam(row: TeamRow): Team {
  return {
    id: row.id,
    projectId: row.project_id,
    timezone: row.timezone,
    isIpAnonymized: row.anonymize_ips,
    cookieless: cookielessModes[row.cookieless_server_hash_mode] ?? 'disabled',
    dropOlderThanSeconds: row.drop_events_older_than_seconds || undefined,
    isPersonProcessingOff: row.person_processing_opt_out,
    isHeatmapOn: row.heatmaps_opt_in !== false,
    hasIngested: row.ingested_event,
  }
}
