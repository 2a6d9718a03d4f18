/** Events for load: of a few kinds, from a set of users, with a body of the size that real pages send. */
import type { Random } from '../../ports/random.ts'
import { uuidV7 } from '../../std/uuid.ts'

export type LoadShape = { users: number; run: string; propertiesBytes: number }
export type LoadEvent = {
  uuid: string
  event: string
  distinct_id: string
  timestamp: string
  properties: Record<string, unknown>
}

const names = ['$pageview', '$autocapture', 'signed up', 'order placed', '$pageleave'] as const
const browsers = ['Chrome', 'Firefox', 'Safari'] as const

export function createEvents(shape: LoadShape, random: Random): (nowMs: number) => LoadEvent {
  const filler = 'x'.repeat(Math.max(0, shape.propertiesBytes - 320))
  const pick = <T>(items: readonly [T, ...T[]]): T =>
    items[Math.floor(random.next() * items.length)] ?? items[0]
  return (nowMs) => {
    const user = Math.floor(random.next() * shape.users)
    const page = Math.floor(random.next() * 50)
    return {
      uuid: uuidV7(nowMs, random.bytes(10)),
      event: pick(names),
      distinct_id: `load-${shape.run}-${user}`,
      timestamp: new Date(nowMs).toISOString(),
      properties: {
        $lib: 'rowmill-load',
        $lib_version: '1',
        load_run: shape.run,
        $current_url: `https://shop.example/pages/${page}?ref=${user % 7}`,
        $pathname: `/pages/${page}`,
        $browser: pick(browsers),
        $os: 'Linux',
        $session_id: `session-${user}`,
        $screen_height: 1080,
        $screen_width: 1920,
        price: Math.round(random.next() * 10_000) / 100,
        filler,
      },
    }
  }
}
