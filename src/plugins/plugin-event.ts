/** An event as PostHog gives it to plugins. */
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { uuidV7 } from '../std/uuid.ts'

export type PluginEvent = { event: string; team_id: number; now: string } & Record<string, unknown>

/** What an event has beside its name, where the author has left it out. */
export function completeEvent(
  given: Readonly<Record<string, unknown>> & { event: string },
  { clock, random }: { clock: Clock; random: Random },
): PluginEvent {
  const nowMs = clock.now()
  const { now, team_id: team } = given
  const known = typeof now === 'string' ? now : new Date(nowMs).toISOString()
  return {
    uuid: uuidV7(nowMs, random.bytes(10)),
    distinct_id: 'somebody',
    ip: null,
    site_url: '',
    timestamp: known,
    properties: {},
    ...given,
    now: known,
    team_id: typeof team === 'number' ? team : 1,
  }
}
