import type { IncomingEvent } from '../incoming-event.ts'
import type { Team, Teams } from '../teams.ts'
import { endEvent, type Step, type Work } from '../work.ts'

/** Exit: drop `unknown_token`. One statement at most for all tokens that are not known or no longer fresh. */
export function createFindTeamStep(teams: Teams, now: () => number): Step {
  return {
    name: 'find_team',
    async run(work) {
      const byToken = await teams.resolve(work.decoded.map((event) => event.token))
      const nowMs = now()
      const events: IncomingEvent[] = []
      for (const decoded of work.decoded) {
        const team = byToken.get(decoded.token)
        if (team === undefined) endEvent(work, decoded, { kind: 'drop', reason: 'unknown_token' })
        else
          events.push({
            ...decoded,
            team,
            timeMs: decoded.timestampMs ?? decoded.capturedAtMs ?? nowMs,
            processing: 'on',
            isProcessingExplicit: false,
          })
      }
      work.events = events
      await teams.markIngested(firstTimers(work))
    },
  }
}

function firstTimers(work: Work): Team[] {
  const teams = new Set<Team>()
  for (const { team } of work.events) if (!team.hasIngested) teams.add(team)
  return [...teams]
}
