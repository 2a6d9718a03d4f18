/** A fleet: processes of Rowmill, each with some of the roles, on engines that all of them reach. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { noClickHouse, openClickHouse, type TestClickHouse } from './engines/clickhouse.ts'
import { noKafka, openKafka, type TestKafka } from './engines/kafka.ts'
import { noPostgres, openPostgres, type TestPostgres } from './engines/postgres.ts'
import { freePort, noRedis, openRedis, type TestRedis } from './engines/redis.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

const program = fileURLToPath(new URL('../../bin/rowmill.mjs', import.meta.url))
const readyWithinMs = 180_000

/** Why a fleet cannot run here, or false. */
export const noFleet: string | false = noKafka || noPostgres || noRedis || noClickHouse

export type FleetOptions = {
  /** Engines that nobody shares, so that they may be stopped. */
  isOwn?: boolean
  /** Settings of every process. */
  environment?: Readonly<Record<string, string>>
}

export type Fleet = AsyncDisposable & {
  kafka: TestKafka
  redis: TestRedis
  postgres: TestPostgres
  clickhouse: TestClickHouse
  token: string
  apiKey: string
  /** What every process is started with: the addresses of the engines. */
  environment: Readonly<Record<string, string>>
  /** Starts a process and resolves when it is ready; with `isAwaited: false` at once. It ends with the fleet. */
  start(
    roles: string,
    options?: { environment?: Record<string, string>; isAwaited?: boolean },
  ): Promise<FleetMember>
  /** Runs a command with the addresses of the engines, in an empty folder. */
  command(...words: string[]): Promise<{ code: number | null; out: string; err: string }>
}

export async function openFleet(options: FleetOptions = {}): Promise<Fleet> {
  await using stack = new AsyncDisposableStack()
  const own = options.isOwn === true ? { isOwn: true } : {}
  const [kafka, redis, postgres, clickhouse, dir] = await Promise.all([
    openKafka(own).then((opened) => stack.use(opened)),
    openRedis(own).then((opened) => stack.use(opened)),
    openPostgres(own).then((opened) => stack.use(opened)),
    openClickHouse(own).then((opened) => stack.use(opened)),
    tempDir('rowmill-fleet-').then((opened) => stack.use(opened)),
  ])
  const name = randomBytes(4).toString('hex')
  const [token, apiKey] = [`phc_${name}`, `phx_${name}`]
  const environment = {
    PATH: process.env.PATH ?? '',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
    KAFKA_HOSTS: kafka.address,
    KAFKA_PREFIX: `fleet-${name}-`,
    REDIS_URL: redis.url,
    ROWMILL_REDIS_KEY_PREFIX: redis.keyPrefix,
    DATABASE_URL: postgres.url,
    CLICKHOUSE_HOST: clickhouse.url,
    CLICKHOUSE_USER: clickhouse.user,
    CLICKHOUSE_PASSWORD: clickhouse.password,
    CLICKHOUSE_DATABASE: clickhouse.database,
    ROWMILL_PROJECT_TOKEN: token,
    ROWMILL_API_KEY: apiKey,
    ...options.environment,
  }
  const members: FleetMember[] = []
  stack.defer(async () => void (await Promise.all(members.map((member) => member.end('SIGKILL')))))
  const folder = (): string => join(dir.path, `${members.length}`)
  const owned = stack.move()
  return {
    kafka,
    redis,
    postgres,
    clickhouse,
    token,
    apiKey,
    environment,
    async start(roles, { environment: more = {}, isAwaited = true } = {}) {
      const port = await freePort()
      const own = { PORT: String(port), ROWMILL_ROLES: roles, ROWMILL_DATA_DIR: folder() }
      const member = new FleetMember({ ...environment, ...own, ...more }, port)
      members.push(member)
      member.start()
      if (isAwaited) await member.ready()
      return member
    },
    command: (...words) => runCommand({ ...environment, ROWMILL_DATA_DIR: join(dir.path, 'none') }, words),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** One process of a fleet. It may be ended and started again. */
export class FleetMember {
  readonly url: string
  printed = ''
  readonly #environment: Readonly<Record<string, string>>
  #child: ChildProcess | undefined

  constructor(environment: Readonly<Record<string, string>>, port: number) {
    this.#environment = environment
    this.url = `http://127.0.0.1:${port}`
  }

  start(): void {
    const child = spawn(process.execPath, [program, 'serve'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#environment,
    })
    const keep = (chunk: Buffer): void => {
      this.printed = (this.printed + chunk.toString()).slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    this.#child = child
  }

  async ready(): Promise<void> {
    const outcome = await waitFor(
      async () => {
        if (this.hasEnded) return 'ended'
        return (await this.readiness()).status === 200 && 'ready'
      },
      { withinMs: readyWithinMs, what: `a process to be ready: ${this.printed}` },
    )
    if (outcome === 'ended') throw new Error(`It ended with ${this.#child?.exitCode}: ${this.printed}`)
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get hasEnded(): boolean {
    return this.#child !== undefined && (this.#child.exitCode !== null || this.#child.signalCode !== null)
  }

  async readiness(): Promise<{ status: number; body: Readiness }> {
    const answer = await fetch(`${this.url}/_readiness`, { signal: AbortSignal.timeout(20_000) })
    return { status: answer.status, body: (await answer.json()) as Readiness }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends it by a signal and resolves with its exit code when it is gone. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === undefined || this.hasEnded) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
    return child.exitCode
  }

  /** Resolves with the exit code when it has ended by itself. */
  async ended(): Promise<number | null> {
    const child = this.#child
    if (child !== undefined && !this.hasEnded) await once(child, 'exit')
    return child?.exitCode ?? null
  }
}

export type Readiness = {
  ready: boolean
  engines: Record<string, string>
  stages?: Record<string, string>
}

/** Sends events to a capture; answers the status. */
export async function capture(
  url: string,
  token: string,
  events: readonly Record<string, unknown>[],
): Promise<{ status: number; retryAfter: string | null }> {
  const answer = await fetch(`${url}/batch/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ api_key: token, batch: events }),
  })
  await answer.arrayBuffer()
  return { status: answer.status, retryAfter: answer.headers.get('retry-after') }
}

async function runCommand(environment: Record<string, string>, words: readonly string[]) {
  const child = spawn(process.execPath, [program, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment,
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}
