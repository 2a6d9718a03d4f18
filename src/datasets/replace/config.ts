import { z } from 'zod'

/** How changes of rows run. A change reads whole rows of a project and writes them anew. */
export const replacerConfig = z.strictObject({
  runs: z.enum(['beside', 'alone', 'off']).default('beside').meta({
    description:
      'Replacers run beside the consumers of their storages; or alone, without them; or not here at all.',
  }),
  threadsMax: z
    .int()
    .min(1)
    .default(1)
    .meta({ description: 'Threads of the warehouse for one replacement.' }),
  blockRowsMax: z
    .int()
    .min(1)
    .default(512)
    .meta({ description: 'Rows that the warehouse reads at once for a replacement.' }),
  memoryBytesMax: z
    .int()
    .min(1_048_576)
    .default(10 * 1024 ** 3)
    .meta({ description: 'Memory of the warehouse for one replacement.' }),
  flagTtlMs: z
    .int()
    .min(1000)
    .default(12 * 3_600_000)
    .meta({ description: 'How long readers are told that a project has replaced rows.' }),
  excludedGroupsMax: z
    .int()
    .min(1)
    .default(256)
    .meta({ description: 'Groups of a project that readers leave out by name; twice as many are kept.' }),
})

export type ReplacerConfig = z.infer<typeof replacerConfig>
