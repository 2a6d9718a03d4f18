/**
 * PostgreSQL servers for tests: Debian's, each with a folder and a free port of its own, run as another user
 * when the tests run as root. A server dies with the test's process, also when that is killed. The plain
 * variant uses the server that `ROWMILL_TEST_POSTGRES` names, a URL of a superuser, which several test files
 * share: each opening has a database of its own.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { findOwner, type Owner } from '../../../src/adapters/embedded/postgres/owner.ts'
import { runOn } from '../database.ts'
import { tempDir } from '../temp-dir.ts'
import { makeCertificates } from './certificates.ts'
import { createPostgresHost } from './postgres/host.ts'
import { freePort } from './redis.ts'

const run = promisify(execFile)
const programs = findPrograms('/usr/lib/postgresql')

/** Why tests on an outer PostgreSQL cannot run here, or false. */
export const noPostgres: string | false =
  programs === undefined ? 'SKIPPED: no PostgreSQL on this machine (Debian package postgresql)' : false

export type PostgresOptions = {
  /** A server that nobody shares, so that it may be stopped. Every other option implies it. */
  isOwn?: boolean
  /** TLS with a certificate of an authority of its own, for 127.0.0.1 and localhost; without TLS nobody comes in. */
  isTls?: boolean
  /** A client must also show a certificate of the same authority. */
  wantsClientCertificate?: boolean
  password?: string
  settings?: Readonly<Record<string, string>>
}

export type TestPostgres = AsyncDisposable & {
  /** A superuser in an empty database of this opening's own. */
  url: string
  port: number
  /** With `isTls`. */
  caFile: string | undefined
  /** With `wantsClientCertificate`. */
  clientCertFile: string | undefined
  clientKeyFile: string | undefined
  /** One more empty database: its URL. Dropped at the end. */
  createDatabase(): Promise<string>
  /** Ends it; `immediate` as a power cut would. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  start(): Promise<void>
  /** The server answers nothing until it is resumed; connections stay open. */
  pause(): void
  resume(): void
}

export async function openPostgres(options: PostgresOptions = {}): Promise<TestPostgres> {
  const shared = process.env.ROWMILL_TEST_POSTGRES
  if (Object.keys(options).length === 0 && shared !== undefined && shared !== '')
    return await openShared(shared)
  return await openOwn(options)
}

async function openShared(server: string): Promise<TestPostgres> {
  const refuse = (): never => assert.fail('This PostgreSQL is shared: open one with isOwn.')
  const databases = createDatabases(server)
  return {
    url: await databases.create(),
    port: Number(new URL(server).port || 5432),
    caFile: undefined,
    clientCertFile: undefined,
    clientKeyFile: undefined,
    createDatabase: databases.create,
    stop: async () => refuse(),
    start: async () => refuse(),
    pause: refuse,
    resume: refuse,
    [Symbol.asyncDispose]: databases.drop,
  }
}

async function openOwn(options: PostgresOptions): Promise<TestPostgres> {
  assert(programs !== undefined)
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempDir('rowmill-pg-')).path
  const owner = await findOwner()
  const port = await freePort()
  const data = join(folder, 'data')
  const password = options.password ?? 'rowmill'
  await handOver(folder, owner)
  await initialise(programs, { folder, data, password, owner })
  const isTls = options.isTls === true || options.wantsClientCertificate === true
  const tls = isTls ? await prepareTls(folder, owner) : undefined
  await writeFile(join(data, 'pg_hba.conf'), accessRules({ ...options, isTls }))
  const settings: Record<string, string> = {
    ...{ listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '' },
    ...{ max_connections: '200', shared_buffers: '16MB', fsync: 'off', full_page_writes: 'off' },
    ...(tls === undefined
      ? {}
      : { ssl: 'on', ssl_cert_file: tls.certFile, ssl_key_file: tls.keyFile, ssl_ca_file: tls.caFile }),
    ...options.settings,
  }
  const args = [
    '-D',
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  const name = `rowmill:${encodeURIComponent(password)}`
  const query = tls === undefined ? '' : tlsQuery(tls, options)
  const server = `postgresql://${name}@127.0.0.1:${port}/postgres${query}`
  const host = stack.use(
    createPostgresHost({ command: join(programs, 'postgres'), args, owner, isUp: () => answers(server) }),
  )
  await host.start()
  const databases = createDatabases(server)
  const url = await databases.create()
  const owned = stack.move()
  return {
    ...{ url, port, createDatabase: databases.create },
    caFile: tls?.caFile,
    clientCertFile: tls?.clientCertFile,
    clientKeyFile: tls?.clientKeyFile,
    ...{ stop: host.stop, start: host.start, pause: host.pause, resume: host.resume },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The newest of Debian's versions that Rowmill supports. */
function findPrograms(root: string): string | undefined {
  if (!existsSync(root)) return undefined
  const versions = readdirSync(root)
    .map(Number)
    .filter((version) => version >= 15)
    .sort((left, right) => right - left)
  return versions
    .map((version) => join(root, String(version), 'bin'))
    .find((folder) => existsSync(join(folder, 'postgres')))
}

async function handOver(folder: string, owner: Owner | undefined): Promise<void> {
  await chmod(folder, 0o755)
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid)
}

async function initialise(
  folderOfPrograms: string,
  options: { folder: string; data: string; password: string; owner: Owner | undefined },
): Promise<void> {
  const { folder, data, password, owner } = options
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, password)
  await run(
    join(folderOfPrograms, 'initdb'),
    [
      ...['--pgdata', data, '--username', 'rowmill', '--pwfile', passwordFile, '--encoding', 'UTF8'],
      ...['--locale', 'C', '--auth', 'scram-sha-256', '--no-sync', '--no-instructions'],
    ],
    { cwd: folder, ...owner },
  )
}

function accessRules(options: PostgresOptions): string {
  const { isTls, wantsClientCertificate } = options
  const suffix = wantsClientCertificate === true ? ' clientcert=verify-ca' : ''
  return `${isTls === true ? 'hostssl' : 'host'} all all 127.0.0.1/32 scram-sha-256${suffix}\n`
}

type Tls = {
  caFile: string
  certFile: string
  keyFile: string
  clientCertFile: string
  clientKeyFile: string
}

async function prepareTls(folder: string, owner: Owner | undefined): Promise<Tls> {
  const { caFile, certFile, keyFile } = await makeCertificates(folder)
  const client = (part: string) => join(folder, `client.${part}`)
  const openssl = (...args: string[]) => run('openssl', args)
  await openssl(
    ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=rowmill'],
    ...['-keyout', client('key'), '-out', client('csr')],
  )
  await openssl(
    ...['x509', '-req', '-in', client('csr'), '-CA', caFile, '-CAkey', join(folder, 'tls-ca.key')],
    ...['-CAcreateserial', '-days', '2', '-out', client('crt')],
  )
  // PostgreSQL wants its key for itself; the test's own process may not be the same user.
  const serverKey = join(folder, 'server-only.key')
  await copyFile(keyFile, serverKey)
  await chmod(serverKey, 0o600)
  if (owner !== undefined) await chown(serverKey, owner.uid, owner.gid)
  return { caFile, certFile, keyFile: serverKey, clientCertFile: client('crt'), clientKeyFile: client('key') }
}

function tlsQuery(tls: Tls, options: PostgresOptions): string {
  const query = new URLSearchParams({ sslmode: 'verify-full', sslrootcert: tls.caFile })
  if (options.wantsClientCertificate === true) {
    query.set('sslcert', tls.clientCertFile)
    query.set('sslkey', tls.clientKeyFile)
  }
  return `?${query}`
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.end()
    return true
  } catch (error) {
    // Anything else than "not yet" would be waited for in vain.
    if (error instanceof pg.DatabaseError && error.code !== '57P03') throw error
    return false
  }
}

function createDatabases(server: string) {
  const names: string[] = []
  return {
    async create(): Promise<string> {
      const name = `test_${process.pid}_${randomBytes(5).toString('hex')}`
      await runOn(server, `create database "${name}" template template0`)
      names.push(name)
      const url = new URL(server)
      url.pathname = `/${name}`
      return url.href
    },
    async drop(): Promise<void> {
      for (const name of names.splice(0))
        await runOn(server, `drop database if exists "${name}" with (force)`)
    },
  }
}

/** What a certificate's file says, for settings that take the text. */
export function readPem(path: string | undefined): Promise<string> {
  assert(path !== undefined)
  return readFile(path, 'utf8')
}
