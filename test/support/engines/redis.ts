/**
 * Redis servers for tests: Debian's `redis-server`, each with a folder and free ports of its own. A server dies
 * with the test's process, also when that is killed. The plain variant uses the server that
 * `ROWMILL_TEST_REDIS` names, which several test files share: keys there begin with the `keyPrefix` given.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'
import { makeCertificates } from './certificates.ts'

const run = promisify(execFile)
const onPath = (name: string): string | undefined =>
  ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))
const server = onPath('redis-server')
const client = onPath('redis-cli')

/** Why Redis tests cannot run here, or false. */
export const noRedis: string | false =
  server === undefined || client === undefined
    ? 'SKIPPED: no Redis on this machine (Debian package redis-server)'
    : false

export type RedisOptions = {
  /** A server that nobody shares, so that it may be stopped. Every other option implies it. */
  isOwn?: boolean
  /** `rediss://` with a certificate of an authority of its own, for 127.0.0.1 and localhost. */
  isTls?: boolean
  password?: string
  /** A user besides `default`, who may do everything. */
  user?: { name: string; password: string }
  /** Every write is on the disk before it is answered. */
  isAppendOnly?: boolean
  /** Further arguments of `redis-server`. */
  args?: readonly string[]
}

export type TestRedis = AsyncDisposable & {
  /** With user and password, where there are any. */
  url: string
  port: number
  /** The certificate of the authority, with `isTls`. */
  caFile: string | undefined
  /** Different for each call. */
  keyPrefix: string
  /** What redis-cli prints. */
  ask(...words: string[]): Promise<string>
  /** Kills it without warning. */
  kill(): Promise<void>
  /** The same folder and port again. */
  start(): Promise<void>
  pause(): void
  resume(): void
}

export async function openRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const shared = process.env.ROWMILL_TEST_REDIS
  if (Object.keys(options).length === 0 && shared !== undefined && shared !== '') return openShared(shared)
  return await openOwn(options)
}

function newPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}:`
}

function openShared(url: string): TestRedis {
  const refuse = (): never => assert.fail('This Redis is shared: open one with isOwn.')
  return {
    url,
    port: Number(new URL(url).port),
    caFile: undefined,
    keyPrefix: newPrefix(),
    ask: (...words) => askCli(['-u', url], words),
    kill: async () => refuse(),
    start: async () => refuse(),
    pause: refuse,
    resume: refuse,
    async [Symbol.asyncDispose]() {},
  }
}

async function askCli(connection: readonly string[], words: readonly string[]): Promise<string> {
  assert(client !== undefined)
  const { stdout } = await run(client, ['--no-auth-warning', ...connection, ...words], { timeout: 20_000 })
  return stdout.trim()
}

async function openOwn(options: RedisOptions): Promise<TestRedis> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempDir('rowmill-redis-')).path
  const certificates = options.isTls === true ? await makeCertificates(folder) : undefined
  const port = await freePort()
  const args = [
    ...['--dir', folder, '--bind', '127.0.0.1', '--save', '', '--daemonize', 'no'],
    ...(options.isAppendOnly === true ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []),
    ...(options.password === undefined ? [] : ['--requirepass', options.password]),
    ...(options.user === undefined
      ? []
      : ['--user', options.user.name, 'on', `>${options.user.password}`, '~*', '&*', '+@all']),
    ...(certificates === undefined
      ? ['--port', String(port)]
      : [
          ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'],
          ...['--tls-cert-file', certificates.certFile, '--tls-key-file', certificates.keyFile],
          ...['--tls-ca-cert-file', certificates.caFile],
        ]),
    ...(options.args ?? []),
  ]
  const connection = [
    ...['-h', '127.0.0.1', '-p', String(port)],
    ...(certificates === undefined ? [] : ['--tls', '--cacert', certificates.caFile]),
    ...(options.password === undefined ? [] : ['-a', options.password]),
  ]
  const ask = (...words: string[]) => askCli(connection, words)
  const host = stack.use(createHost(args, async () => (await ask('ping')) === 'PONG'))
  await host.start()
  const owned = stack.move()
  const { user, password } = options
  const secret = encodeURIComponent(user?.password ?? password ?? '')
  const login = secret === '' ? '' : `${encodeURIComponent(user?.name ?? '')}:${secret}@`
  return {
    url: `${certificates === undefined ? 'redis' : 'rediss'}://${login}127.0.0.1:${port}`,
    port,
    caFile: certificates?.caFile,
    keyPrefix: newPrefix(),
    ask,
    kill: host.kill,
    start: host.start,
    pause: host.pause,
    resume: host.resume,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** One process that can be killed, paused and started again. */
function createHost(args: readonly string[], isUp: () => Promise<boolean>) {
  let child: ChildProcess | undefined
  const kill = async (): Promise<void> => {
    const killed = child
    child = undefined
    if (killed === undefined || killed.exitCode !== null || killed.signalCode !== null) return
    const ended = new Promise((resolve) => killed.once('exit', resolve))
    killed.kill('SIGKILL')
    await ended
  }
  return {
    kill,
    async start(): Promise<void> {
      assert(child === undefined && server !== undefined)
      const dying = onPath('setpriv')
      const [command, first] =
        dying === undefined ? [server, []] : [dying, ['--pdeathsig', 'KILL', '--', server]]
      const started = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
      let printed = ''
      const keep = (chunk: Buffer): void => {
        printed = (printed + chunk.toString()).slice(-5000)
      }
      started.stdout.on('data', keep)
      started.stderr.on('data', keep)
      child = started
      await waitFor(
        async () => {
          if (started.exitCode !== null) return true
          return await isUp()
        },
        { withinMs: 30_000, what: 'Redis to be up' },
      )
      if (started.exitCode !== null) throw new Error(`Redis ended with ${started.exitCode}: ${printed}`)
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    [Symbol.asyncDispose]: kill,
  }
}

export type TestRedisCluster = AsyncDisposable & {
  /** The nodes' addresses, separated by commas. */
  hosts: string
  keyPrefix: string
  nodes: (TestRedis & { id: string })[]
  /** The node that has the slot of a key now. */
  ownerOf(key: string): Promise<TestRedis & { id: string }>
  /** Moves the slot of a key, with its keys, to another master; answers that one. */
  moveSlotOf(key: string): Promise<TestRedis & { id: string }>
}

/** Three masters, each with `replicas` replicas. */
export async function openRedisCluster(options: { replicas?: number } = {}): Promise<TestRedisCluster> {
  await using stack = new AsyncDisposableStack()
  const count = 3 * (1 + (options.replicas ?? 0))
  const nodes = await Promise.all(
    Array.from({ length: count }, async () => {
      const bus = String(await freePort())
      const args = [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        bus,
        '--cluster-node-timeout',
        '1500',
        '--repl-diskless-sync-delay',
        '0',
      ]
      return stack.use(await openOwn({ args }))
    }),
  )
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await askCli(
    ['--cluster', 'create', ...addresses, '--cluster-replicas', String(options.replicas ?? 0)],
    ['--cluster-yes'],
  )
  const named = await Promise.all(
    nodes.map(async (node) => ({ ...node, id: await node.ask('cluster', 'myid') })),
  )
  for (const node of named)
    await waitFor(async () => (await node.ask('cluster', 'info')).includes('cluster_state:ok'), {
      withinMs: 30_000,
      what: 'the cluster to be ok',
    })
  // A replica that has not copied everything once cannot become a master.
  for (const node of named)
    await waitFor(async () => !/master_link_status:down/.test(await node.ask('info', 'replication')), {
      withinMs: 30_000,
      what: 'the replicas to have copied their masters',
    })
  const owned = stack.move()
  const ownerOf = async (key: string) => await findOwner(named, key)
  return {
    hosts: addresses.join(','),
    keyPrefix: newPrefix(),
    nodes: named,
    ownerOf,
    async moveSlotOf(key) {
      const from = await ownerOf(key)
      const slot = await from.ask('cluster', 'keyslot', key)
      const masters = await mastersOf(named)
      const to = masters.find(({ id }) => id !== from.id)
      assert(to !== undefined)
      await to.ask('cluster', 'setslot', slot, 'importing', from.id)
      await from.ask('cluster', 'setslot', slot, 'migrating', to.id)
      const keys = (await from.ask('cluster', 'getkeysinslot', slot, '1000')).split('\n').filter(Boolean)
      for (const moved of keys) await from.ask('migrate', '127.0.0.1', String(to.port), moved, '0', '5000')
      for (const node of [to, ...masters.filter((other) => other !== to)])
        await node.ask('cluster', 'setslot', slot, 'node', to.id)
      // A replica that has not heard of it cannot become a master.
      for (const node of named)
        await waitFor(async () => (await ownerIn(node, Number(slot)))?.startsWith(to.id), {
          what: 'all nodes to know of the move',
        })
      return to
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

type Named = TestRedis & { id: string }

async function mastersOf(nodes: readonly Named[]): Promise<Named[]> {
  const roles = await Promise.allSettled(nodes.map((node) => node.ask('role')))
  return nodes.filter((_, index) => {
    const role = roles[index]
    return role?.status === 'fulfilled' && role.value.startsWith('master')
  })
}

async function findOwner(nodes: readonly Named[], key: string): Promise<Named> {
  const masters = await mastersOf(nodes)
  const [first] = masters
  assert(first !== undefined)
  const slot = Number(await first.ask('cluster', 'keyslot', key))
  const line = await ownerIn(first, slot)
  const owner = nodes.find(({ id }) => line?.startsWith(id))
  assert(owner !== undefined)
  return owner
}

/** The line of the slot's owner, as this node knows it. */
async function ownerIn(node: Named, slot: number): Promise<string | undefined> {
  const lines = (await node.ask('cluster', 'nodes')).split('\n')
  return lines.find((text) => {
    const ranges = text.split(' ').slice(8)
    return ranges.some((range) => {
      const [from = Number.NaN, to = from] = range.split('-').map(Number)
      return slot >= from && slot <= to
    })
  })
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  assert(address !== null && typeof address === 'object')
  return address.port
}
