import { z } from 'zod'
import { Secret } from '../../std/secret.ts'

const secret = () =>
  z
    .string()
    .min(1)
    .transform((text) => new Secret(text))

const secretUrl = () =>
  z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
    .transform((text) => new Secret(text))

/** What `sslmode` means to libpq. */
export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

/** How the Database adapter speaks to PostgreSQL. Where it is stands in `url`, which the platform adds. */
export const databaseConfig = z.strictObject({
  password: secret().optional().meta({
    description: 'Password for the URLs that hold none; so it needs no percent-encoding.',
    env: 'PGPASSWORD',
    secret: true,
  }),
  directUrl: secretUrl().optional().meta({
    description:
      "PostgreSQL's own address, where url leads to a pooler in transaction mode such as PgBouncer: locks and listeners go there, and by url no session settings are sent.",
    env: 'DATABASE_DIRECT_URL',
    secret: true,
  }),
  replicaUrl: secretUrl()
    .optional()
    .meta({
      description: 'A read replica for reads of the API that may be some seconds old. Nothing else asks it.',
      env: ['DATABASE_READONLY_URL', 'DATABASE_REPLICA_URL'],
      secret: true,
    }),
  replicaPauseMs: z
    .number()
    .int()
    .min(0)
    .default(5000)
    .meta({ description: 'How long a replica that failed is left alone; url is asked in the meantime.' }),
  sslMode: z.enum(sslModes).optional().meta({
    description:
      'TLS as libpq means it, unless a URL has an sslmode of its own. Default: verify-full where sslRootCert is given, else disable.',
    env: 'PGSSLMODE',
  }),
  sslRootCert: z.string().min(1).optional().meta({
    description: "The authority that signed the server's certificate: a file, or the PEM text itself.",
    env: 'PGSSLROOTCERT',
  }),
  sslCert: z.string().min(1).optional().meta({
    description: 'A certificate to show to the server: a file, or the PEM text itself.',
    env: 'PGSSLCERT',
  }),
  sslKey: secret().optional().meta({
    description: 'The key of sslCert: a file, or the PEM text itself.',
    env: 'PGSSLKEY',
    secret: true,
  }),
  connectionsMax: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(16)
    .meta({ description: 'Connections to PostgreSQL that statements and transactions share.' }),
  waitingMax: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'Statements that may wait for a free connection; more are refused at once.' }),
  connectTimeoutMs: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'How long to wait for a free connection, and for PostgreSQL to accept a new one.' }),
  statementTimeoutMs: z
    .number()
    .int()
    .min(0)
    .default(60_000)
    .meta({ description: 'PostgreSQL cancels a statement that takes longer. 0 sets no limit.' }),
  idleTransactionTimeoutMs: z
    .number()
    .int()
    .min(0)
    .default(60_000)
    .meta({ description: 'PostgreSQL ends a transaction that waits longer for its next statement.' }),
  idleTimeoutMs: z
    .number()
    .int()
    .min(0)
    .default(30_000)
    .meta({ description: 'A connection that was not used for this long is closed.' }),
  notificationsMax: z
    .number()
    .int()
    .min(1)
    .default(1000)
    .meta({ description: 'Notifications a listener may lag behind; older ones are forgotten.' }),
})

export type DatabaseConfig = z.infer<typeof databaseConfig>

/** What contradicts itself in the settings below `database`, a sentence each. */
export function databaseContradictions(config: DatabaseConfig & { url?: Secret | undefined }): string[] {
  const { url, directUrl, replicaUrl, sslCert, sslKey, sslMode, sslRootCert } = config
  const said: string[] = []
  if (url === undefined)
    for (const [name, value] of Object.entries({ directUrl, replicaUrl }))
      if (value !== undefined)
        said.push(
          `database.${name} is set, but database.url (DATABASE_URL) is not, and the embedded PostgreSQL has no second address; set database.url or unset database.${name}.`,
        )
  if ((sslCert === undefined) !== (sslKey === undefined))
    said.push(
      `database.${sslCert === undefined ? 'sslKey' : 'sslCert'} is set without database.${sslCert === undefined ? 'sslCert' : 'sslKey'}; set both or none.`,
    )
  if (sslMode === 'disable' && (sslRootCert !== undefined || sslCert !== undefined))
    said.push(
      'database.sslMode (PGSSLMODE) is "disable", but certificates are set; set it to verify-full, or unset database.sslRootCert and database.sslCert.',
    )
  return said
}
