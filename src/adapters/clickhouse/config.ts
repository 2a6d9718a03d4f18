import { z } from 'zod'

/** How the Warehouse adapter speaks to ClickHouse. Where it is the platform adds. */
export const warehouseConfigSchema = z.strictObject({
  connectionsMax: z.number().int().min(1).max(1000).default(16).meta({
    description: 'Connections to ClickHouse; further requests wait for one.',
  }),
  requestTimeoutMs: z.number().int().min(1000).default(330_000).meta({
    description: 'How long to wait for ClickHouse while nothing comes.',
  }),
  isCompressed: z.boolean().default(false).meta({
    description: 'Compress inserts and answers with gzip: for a ClickHouse that is not on this machine.',
  }),
})

export type WarehouseConfig = z.output<typeof warehouseConfigSchema>
