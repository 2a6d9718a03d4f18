import { z } from 'zod'

const refreshMs = (description: string, defaultMs: number) =>
  z.number().int().min(10).default(defaultMs).meta({ description })

/** Settings of admission. Those with `env` are also known by the name that PostHog's capture gives them. */
export const admissionConfigSchema = z.strictObject({
  cacheKeyPrefix: z
    .string()
    .default('')
    .meta({ description: 'Put before the quota keys in the cache.', env: 'REDIS_KEY_PREFIX' }),
  quotaRefreshMs: refreshMs(
    'How often quotas and the replay overflow list are read from the cache, in ms.',
    5_000,
  ),
  dropEvents: z.array(z.string()).default([]).meta({
    description: 'Events to drop silently: `token`, `token:*` or `token:distinct_id`, separated by commas.',
    env: 'DROP_EVENTS_BY_TOKEN_DISTINCT_ID',
  }),
  historicalRerouting: z.boolean().default(false).meta({
    description: 'Send old events to the historical topic even when their batch was not marked so.',
    env: 'ENABLE_HISTORICAL_REROUTING',
  }),
  historicalThresholdDays: z.number().int().min(1).default(1).meta({
    description: 'Age in days from which an event is old for historicalRerouting.',
    env: 'HISTORICAL_REROUTING_THRESHOLD_DAYS',
  }),
  aiLanePredicate: z.enum(['allowlist', 'prefix']).default('allowlist').meta({
    description:
      'Which events take the AI lane: the known names only, or every name that begins with `$ai_`.',
    env: 'CAPTURE_AI_LANE_PREDICATE',
  }),
  aiEventBytesMax: z.number().int().min(0).default(8_388_608).meta({
    description: 'Largest AI event, in bytes of its JSON. 0 is no limit of its own.',
    env: 'AI_MAX_EVENT_BYTES',
  }),
  aiBytesPerSecondMax: z.number().int().min(0).default(0).meta({
    description: 'Bytes of AI events per second and token; events beyond it are dropped. 0 is no limit.',
    env: 'AI_BYTE_LIMIT_PER_SECOND',
  }),
  aiBytesPerSecondOverrides: z.array(z.string()).default([]).meta({
    description:
      'Other budgets of AI bytes for single tokens: `token=bytes per second`, separated by commas. 0 is no limit.',
    env: 'AI_BYTE_LIMIT_OVERRIDES_CSV',
  }),
  aiOverflowTopic: z.string().default('').meta({
    description: 'Topic for AI events over the overflow limit. Empty: AI events never overflow.',
    env: 'CAPTURE_ANALYTICS_AI_EVENTS_OVERFLOW_TOPIC',
  }),
  customTopics: z.array(z.string()).default([]).meta({
    description:
      'Topics besides the built-in ones that a `redirect_to_topic` restriction may name. They are created at start.',
  }),
  overflow: z
    .strictObject({
      isEnabled: z.boolean().default(false).meta({
        description: 'Send events of keys that are too frequent to the overflow topic.',
        env: 'OVERFLOW_ENABLED',
      }),
      perSecondMax: z.number().int().min(1).default(100).meta({
        description: 'Events per second and key before overflow.',
        env: 'OVERFLOW_PER_SECOND_LIMIT',
      }),
      burstMax: z.number().int().min(1).default(1000).meta({
        description: 'Events of one key that may come at once before overflow.',
        env: 'OVERFLOW_BURST_LIMIT',
      }),
      keepsLocality: z.boolean().default(false).meta({
        description: 'Events in overflow keep their key, so that one person stays on one partition.',
        env: 'OVERFLOW_PRESERVE_PARTITION_LOCALITY',
      }),
      forcedKeys: z.array(z.string()).default([]).meta({
        description: 'Tokens or `token:distinct_id` that always overflow, without person processing.',
        env: 'INGESTION_FORCE_OVERFLOW_BY_TOKEN_DISTINCT_ID',
      }),
      keysMax: z
        .number()
        .int()
        .min(1)
        .default(300_000)
        .meta({ description: 'Keys whose rate is remembered.' }),
    })
    .prefault({}),
  restrictions: z
    .strictObject({
      isEnabled: z.boolean().default(false).meta({
        description: 'Obey the event restrictions in the cache.',
        env: 'EVENT_RESTRICTIONS_ENABLED',
      }),
      refreshIntervalSeconds: z.number().min(0.01).default(30).meta({
        description: 'How often restrictions are read from the cache, in seconds.',
        env: 'EVENT_RESTRICTIONS_REFRESH_INTERVAL_SECS',
      }),
      failOpenAfterSeconds: z.number().min(0).default(300).meta({
        description: 'Restrictions that could not be read for so many seconds are no longer obeyed.',
        env: 'EVENT_RESTRICTIONS_FAIL_OPEN_AFTER_SECS',
      }),
    })
    .prefault({}),
  rateLimit: z
    .strictObject({
      isEnabled: z.boolean().default(false).meta({
        description: 'Switch person processing off for a distinct id that sends too much.',
        env: 'GLOBAL_RATE_LIMIT_ENABLED',
      }),
      windowSeconds: z.number().min(1).default(60).meta({
        description: 'Length of the sliding window, in seconds.',
        env: 'GLOBAL_RATE_LIMIT_WINDOW_INTERVAL_SECS',
      }),
      syncSeconds: z.number().min(0.01).default(15).meta({
        description: 'How often counts are exchanged with the other processes through the cache, in seconds.',
        env: 'GLOBAL_RATE_LIMIT_SYNC_INTERVAL_SECS',
      }),
      eventsMax: z.number().int().min(1).default(300_000).meta({
        description: 'Events per window and `token:distinct_id`.',
        env: 'GLOBAL_RATE_LIMIT_TOKEN_DISTINCTID_THRESHOLD',
      }),
      overrides: z.array(z.string()).default([]).meta({
        description: 'Other thresholds for single keys: `token:distinct_id=number`, separated by commas.',
        env: 'GLOBAL_RATE_LIMIT_TOKEN_DISTINCTID_OVERRIDES_CSV',
      }),
      customThresholdKey: z.string().default('').meta({
        description: 'Cache key of a JSON object with more thresholds, `{key: number}`. Empty: none.',
        env: 'GLOBAL_RATE_LIMIT_CUSTOM_THRESHOLD_KEY',
      }),
      customThresholdRefreshSeconds: z.number().min(0.01).default(60).meta({
        description: 'How often the JSON object of customThresholdKey is read, in seconds.',
        env: 'GLOBAL_RATE_LIMIT_CUSTOM_THRESHOLD_REFRESH_SECS',
      }),
      keysMax: z.number().int().min(1).default(300_000).meta({
        description: 'Keys whose counts are remembered.',
        env: 'GLOBAL_RATE_LIMIT_TOKEN_DISTINCTID_LOCAL_CACHE_MAX_ENTRIES',
      }),
      syncKeysMax: z.number().int().min(1).default(20_000).meta({
        description: 'Keys exchanged with the cache in one go.',
        env: 'GLOBAL_RATE_LIMIT_MAX_SYNC_KEYS_PER_TICK',
      }),
    })
    .prefault({}),
})

export type AdmissionConfig = z.output<typeof admissionConfigSchema>
