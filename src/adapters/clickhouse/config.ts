import { z } from 'zod'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { readHosts } from './hosts.ts'

/** How the Warehouse adapter speaks to ClickHouse. Where it is the platform adds. */
export const warehouseConfigSchema = z.strictObject({
  connectionsMax: z.number().int().min(1).max(1000).default(16).meta({
    description: 'Connections to each host of ClickHouse; further requests wait for one.',
  }),
  connectTimeoutMs: z.number().int().min(1).default(5000).meta({
    description: 'How long a host of ClickHouse may take to accept a connection.',
  }),
  requestTimeoutMs: z.number().int().min(1000).default(330_000).meta({
    description: 'How long to wait for ClickHouse while nothing comes.',
  }),
  hostPauseMs: z.number().int().min(1).default(1000).meta({
    description: 'How long a host that failed is left alone at first; each further failure doubles it.',
  }),
  hostPauseMsMax: z.number().int().min(1).default(30_000).meta({
    description: 'How long a host that failed again and again is left alone at most.',
  }),
  isCompressed: z.boolean().default(false).meta({
    description:
      'Pack inserts with zstd and answers with gzip: for a ClickHouse that is not on this machine.',
  }),
  caCert: z.string().min(1).optional().meta({
    description:
      "The authority that signed ClickHouse's certificate: a file, or the PEM text itself. Default: those that Node knows.",
    env: 'CLICKHOUSE_CA',
  }),
  isVerified: z.boolean().default(true).meta({
    description: "Whether ClickHouse's certificate must be of a known authority and for its name.",
    env: 'CLICKHOUSE_VERIFY',
  }),
  cluster: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'is 1 to 64 letters, digits, _ . or -')
    .optional()
    .meta({
      description:
        'Name of the cluster as system.clusters has it: tables are made ON CLUSTER, Replicated, with Distributed ones over all shards.',
      env: 'CLICKHOUSE_CLUSTER',
    }),
  insertQuorum: z
    .string()
    .regex(/^(auto|\d{1,2})$/, 'is "auto" for the majority, or a number of replicas')
    .default('0')
    .meta({
      description:
        'On a cluster: replicas that must have an insert before it counts. 0 is the one it went to.',
    }),
})

export type WarehouseConfig = z.output<typeof warehouseConfigSchema>

/** What contradicts itself in the settings below `warehouse`, a sentence each. */
export function warehouseContradictions(
  config: WarehouseConfig & { url?: string | undefined; isSecure?: boolean },
): string[] {
  const { url, cluster, insertQuorum, caCert, isVerified, hostPauseMs, hostPauseMsMax } = config
  const said: string[] = []
  let hosts: string[] = []
  try {
    hosts = url === undefined ? [] : readHosts(url, { isSecure: config.isSecure === true })
  } catch (error) {
    if (!isRowmillError(error, 'CONFIG_INVALID')) throw error
    said.push(error.message)
  }
  if (url === undefined && cluster !== undefined)
    said.push(
      'warehouse.cluster (CLICKHOUSE_CLUSTER) is set, but warehouse.url (CLICKHOUSE_HOST) is not, and the embedded ClickHouse is no cluster; set warehouse.url or unset warehouse.cluster.',
    )
  if (hosts.length > 1 && cluster === undefined)
    said.push(
      `warehouse.url (CLICKHOUSE_HOST) names ${hosts.length} hosts, which only a cluster keeps alike; set warehouse.cluster (CLICKHOUSE_CLUSTER), or name one host.`,
    )
  if (cluster === undefined && insertQuorum !== '0')
    said.push(
      `warehouse.insertQuorum is ${insertQuorum}, but only a cluster has replicas; set warehouse.cluster (CLICKHOUSE_CLUSTER), or insertQuorum to 0.`,
    )
  const isTls = hosts.some((host) => host.startsWith('https:'))
  if (hosts.length > 0 && !isTls && (caCert !== undefined || !isVerified))
    said.push(
      `warehouse.${caCert === undefined ? 'isVerified (CLICKHOUSE_VERIFY)' : 'caCert (CLICKHOUSE_CA)'} is set, but ClickHouse is spoken to without TLS; say https:// in warehouse.url (CLICKHOUSE_HOST), or set warehouse.isSecure (CLICKHOUSE_SECURE).`,
    )
  if (caCert !== undefined && !isVerified)
    said.push(
      'warehouse.caCert (CLICKHOUSE_CA) is set, but warehouse.isVerified (CLICKHOUSE_VERIFY) is off, so nobody would ask it; unset one of them.',
    )
  if (hostPauseMsMax < hostPauseMs)
    said.push(
      `warehouse.hostPauseMsMax (${hostPauseMsMax}) is below warehouse.hostPauseMs (${hostPauseMs}); raise the first or lower the second.`,
    )
  return said
}
