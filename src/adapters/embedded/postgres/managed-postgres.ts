/**
 * A real PostgreSQL that Rowmill makes, runs and watches, for those who have none.
 *
 * What holds:
 * - It listens on a socket in the data folder, which only its user and root can reach; where the path is too
 *   long for a socket, on loopback with a random password instead.
 * - Everything acknowledged is durable: fsync and synchronous commits are on.
 * - When it dies it is started again; when Rowmill is killed, the next start stops what was left running.
 * - Two Rowmills never run it on one folder: the second fails and says who has it.
 * - Its log never quotes statements or values, which may hold properties of events.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { LineLevel } from '../../../supervise/line-log.ts'
import { openSupervised, type SuperviseContext, type SupervisedState } from '../../../supervise/supervise.ts'
import { type Binaries, prepareBinaries } from './binaries.ts'
import { type Cluster, openCluster, openFolders, superuser } from './cluster.ts'
import type { PostgresConfig } from './config.ts'
import { stopLeftOver } from './left-over.ts'
import { findOwner, type Owner } from './owner.ts'
import { openOwnership } from './ownership.ts'

export interface ManagedPostgres extends AsyncDisposable {
  /** Reaches the same database across restarts. Holds a password where it has to. */
  readonly connectionString: string
  /** Like `18.4`. */
  readonly version: string
  readonly state: SupervisedState
  /** The postmaster that runs now. */
  readonly pid: number | undefined
  /** Waits until it accepts connections. Fails with `ENGINE_FAILED` when it never will. */
  ready(signal?: AbortSignal): Promise<void>
}

export type ManagedPostgresConfig = PostgresConfig & { directory: string }

/** Unix systems hold a socket's path in so many bytes. */
const socketPathBytesMax = process.platform === 'linux' ? 107 : 103
const databaseName = 'rowmill'
const restartDelays = { delayMs: 50, delayMaxMs: 2000 }

/** Makes the cluster if there is none and resolves when it accepts connections. Fails with `ENGINE_FAILED`. */
export async function openManagedPostgres(
  context: SuperviseContext,
  config: ManagedPostgresConfig,
  options: { signal?: AbortSignal } = {},
): Promise<ManagedPostgres> {
  const { directory } = config
  const owner = await findOwner()
  await using stack = new AsyncDisposableStack()
  await openFolders(directory, owner)
  const ownership = stack.use(await openOwnership(context, directory))
  const binaries = await prepareBinaries(context, { directory, owner })
  const cluster = await openCluster(context, { directory, binaries, owner })
  const endpoint = await chooseEndpoint(cluster)
  const supervised = stack.use(
    await openSupervised(
      context,
      {
        name: 'postgres',
        start: async (signal) => {
          await ownership.check()
          await stopLeftOver(context, cluster.data, signal)
          return postgresCommand({ binaries, cluster, endpoint, config, owner })
        },
        waitReady: (_child, signal) => waitAccepting(context, endpoint, signal),
        readyWithinMs: config.readyWithinMs,
        stop: { signal: 'SIGINT', graceMs: config.stopGraceMs },
        restart: { ...restartDelays, attemptsMax: config.startsMax, windowMs: config.startsWindowMs },
        lineLevel,
      },
      options,
    ),
  )
  const owned = stack.move()
  return {
    connectionString: endpoint.url(databaseName),
    version: binaries.version,
    get state() {
      return supervised.state
    },
    get pid() {
      return supervised.pid
    },
    ready: (signal) => supervised.ready(signal),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

type Endpoint = { socket: string | undefined; port: number; url: (database: string) => string }

async function chooseEndpoint(cluster: Cluster): Promise<Endpoint> {
  const port = 5432
  const { socket, password } = cluster
  if (Buffer.byteLength(join(socket, `.s.PGSQL.${port}`)) <= socketPathBytesMax) {
    const host = encodeURIComponent(socket)
    return { socket, port, url: (database) => `postgresql://${superuser}@localhost/${database}?host=${host}` }
  }
  const free = await findFreePort()
  return {
    socket: undefined,
    port: free,
    url: (database) => `postgresql://${superuser}:${password}@127.0.0.1:${free}/${database}?sslmode=disable`,
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string')
    throw new RowmillError('ENGINE_FAILED', 'No free port was found for PostgreSQL.')
  return address.port
}

function postgresCommand(parts: {
  binaries: Binaries
  cluster: Cluster
  endpoint: Endpoint
  config: PostgresConfig
  owner: Owner | undefined
}) {
  const { binaries, cluster, endpoint, config, owner } = parts
  const settings: Record<string, string | number> = {
    listen_addresses: endpoint.socket === undefined ? '127.0.0.1' : '',
    unix_socket_directories: endpoint.socket ?? '',
    unix_socket_permissions: '0700',
    port: endpoint.port,
    max_connections: config.connectionsMax,
    shared_buffers: `${config.sharedBuffersMb}MB`,
    max_wal_size: `${config.walSizeMbMax}MB`,
    // Nothing replicates from here, so the write-ahead log needs only what a recovery needs.
    wal_level: 'minimal',
    max_wal_senders: 0,
    random_page_cost: 1.1,
    jit: 'off',
    // Parallel plans need more shared memory than containers give, and the statements here are short.
    max_parallel_workers_per_gather: 0,
    io_method: 'sync',
    timezone: 'UTC',
    log_timezone: 'UTC',
    client_connection_check_interval: '5s',
    log_line_prefix: '',
    log_checkpoints: 'off',
    log_error_verbosity: 'terse',
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
  }
  return {
    command: binaries.postgres,
    args: [
      '-D',
      cluster.data,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    env: { TZ: 'UTC', LC_ALL: 'C' },
    cwd: cluster.directory,
    ...owner,
  }
}

/** PostgreSQL's own levels are about its sessions; what matters to Rowmill's operator is less. */
function lineLevel(line: string): LineLevel {
  if (line.startsWith('PANIC:')) return 'error'
  return line.startsWith('LOG:') || line.startsWith('FATAL:') ? 'debug' : 'info'
}

/** Connects again and again until PostgreSQL answers, and makes the database on the first start. */
async function waitAccepting(
  context: SuperviseContext,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const refusal = await tryConnection(endpoint.url(databaseName))
    if (refusal === undefined) return
    if (refusal === 'no such database') await createDatabase(endpoint.url('postgres'))
    else await context.clock.sleep(10, { signal })
  }
}

async function tryConnection(url: string): Promise<undefined | 'not yet' | 'no such database'> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  // The server may end the connection while it is being closed; that is no news here.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.end()
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === '3D000') return 'no such database'
    if (error instanceof pg.DatabaseError && code !== '57P03' && code !== '53300') throw error
    return 'not yet'
  }
}

async function createDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query(`create database ${client.escapeIdentifier(databaseName)}`)
  } finally {
    await client.end()
  }
}
