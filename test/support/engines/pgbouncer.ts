/** PgBouncer in transaction mode in front of a test's PostgreSQL, from Debian's package. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import { findOwner } from '../../../src/adapters/embedded/postgres/owner.ts'
import { tempDir } from '../temp-dir.ts'
import { createPostgresHost } from './postgres/host.ts'
import { freePort } from './redis.ts'

const program = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  .map((folder) => join(folder, 'pgbouncer'))
  .find((path) => existsSync(path))

/** Why tests behind PgBouncer cannot run here, or false. */
export const noPgBouncer: string | false =
  program === undefined ? 'SKIPPED: no PgBouncer on this machine (Debian package pgbouncer)' : false

export type TestPgBouncer = AsyncDisposable & {
  /** The same database by way of the pooler. */
  url: string
}

/** `ignoredParameters`: what a client may ask for at its start and does not get. */
export async function openPgBouncer(
  target: string,
  options: { ignoredParameters?: readonly string[]; serversMax?: number } = {},
): Promise<TestPgBouncer> {
  assert(program !== undefined)
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempDir('rowmill-pgbouncer-')).path
  await chmod(folder, 0o755)
  const port = await freePort()
  const { hostname, port: targetPort, username, password, pathname } = new URL(target)
  const login = `user=${username} password='${decodeURIComponent(password).replaceAll("'", "''")}'`
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(
    file,
    [
      '[databases]',
      `* = host=${hostname} port=${targetPort} ${login}`,
      '[pgbouncer]',
      `listen_addr = 127.0.0.1`,
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      'max_client_conn = 500',
      `default_pool_size = ${options.serversMax ?? 3}`,
      ...(options.ignoredParameters === undefined
        ? []
        : [`ignore_startup_parameters = ${options.ignoredParameters.join(',')}`]),
      '',
    ].join('\n'),
  )
  const url = `postgresql://rowmill@127.0.0.1:${port}${pathname}`
  const host = stack.use(
    createPostgresHost({
      command: program,
      args: [file],
      owner: await findOwner(),
      isUp: () => answers(url),
    }),
  )
  await host.start()
  const owned = stack.move()
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}
