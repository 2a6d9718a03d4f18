import { z } from 'zod'
import { personsConfig } from './persons/config.ts'

const hourMs = 3_600_000
/** From the first moment that it is a day anywhere to the last, with three days of lag. */
const dayAcceptedMs = (14 + 24 + 12 + 72) * hourMs

export const teamsConfig = z.strictObject({
  refreshIntervalMs: z
    .int()
    .min(0)
    .default(30_000)
    .describe(
      "How old a project's settings may be before they are read again, unless a change is told of before.",
    ),
  unknownTtlMs: z
    .int()
    .min(0)
    .default(1000)
    .describe('How long a token that no project has is remembered as such.'),
  cacheMax: z.int().min(1).default(10_000).describe('How many tokens are remembered.'),
})

export const overflowConfig = z.strictObject({
  isEnabled: z
    .boolean()
    .default(false)
    .describe('Send the events of a person who sends too many to the overflow topic.'),
  perSecond: z
    .number()
    .positive()
    .default(1)
    .describe('Events per second that one key may send for as long as it likes.'),
  burstMax: z.int().min(1).default(1000).describe('Events that one key may send at once.'),
  stickyMs: z
    .int()
    .min(1000)
    .default(300_000)
    .describe('How long a key stays on the overflow topic after its last event there.'),
  localTtlMs: z
    .int()
    .min(0)
    .default(60_000)
    .describe('How long a process relies on what it knows of a key before it asks the cache again.'),
  keysMax: z.int().min(1).default(200_000).describe('How many keys a process remembers.'),
  isKeyKept: z
    .boolean()
    .default(true)
    .describe(
      'Keep the order of a key on the overflow topic; otherwise its events are spread over all partitions.',
    ),
})

export const cookielessConfig = z.strictObject({
  lagMaxMs: z
    .int()
    .min(0)
    .default(72 * hourMs)
    .describe('How long after the end of its day a cookieless event is still accepted.'),
  saltTtlMs: z
    .int()
    .min(hourMs)
    .default(dayAcceptedMs)
    .describe("How long a day's salt lives; without it nobody can tell whose an id was."),
  identifiesTtlMs: z
    .int()
    .min(hourMs)
    .default(dayAcceptedMs)
    .describe('How long the identifications seen from a device are counted.'),
  sessionTtlMs: z
    .int()
    .min(60_000)
    .default(96 * hourMs)
    .describe('How long the state of a session is kept.'),
  sessionInactivityMs: z
    .int()
    .min(1000)
    .default(30 * 60_000)
    .describe('A pause longer than this begins a new session.'),
})

export const geoipConfig = z.strictObject({
  file: z.string().min(1).optional().meta({
    description: 'A city database in MaxMind format (.mmdb). Without it events get no location.',
    env: 'MMDB_FILE_LOCATION',
  }),
  cacheMax: z.int().min(1).default(10_000).describe('How many looked-up addresses are remembered.'),
})

export const warningsConfig = z.strictObject({
  intervalMs: z
    .int()
    .min(0)
    .default(hourMs)
    .describe('A project gets a warning of one type once in this time.'),
  keysMax: z
    .int()
    .min(1)
    .default(100_000)
    .describe('How many projects and types are remembered to that end.'),
})

export const ingestConfig = z.strictObject({
  teams: teamsConfig.prefault({}),
  overflow: overflowConfig.prefault({}),
  cookieless: cookielessConfig.prefault({}),
  geoip: geoipConfig.prefault({}),
  warnings: warningsConfig.prefault({}),
  persons: personsConfig.prefault({}),
  duplicateComparisonsMax: z
    .int()
    .min(0)
    .default(20)
    .describe(
      'How many duplicates of a batch are compared with the first of their kind, to say how they differ.',
    ),
  rowBytesMax: z
    .int()
    .min(100_000)
    .default(8_388_608)
    .describe('A finished event larger than this is set aside; at most what the log accepts as one record.'),
})

export type TeamsConfig = z.infer<typeof teamsConfig>
export type OverflowConfig = z.infer<typeof overflowConfig>
export type CookielessConfig = z.infer<typeof cookielessConfig>
export type GeoipConfig = z.infer<typeof geoipConfig>
export type WarningsConfig = z.infer<typeof warningsConfig>
export type IngestConfig = z.infer<typeof ingestConfig>
