/** Engines of a fleet for measurements: run as they would be in production, each asked for its CPU time and its disk. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { openClickHouse } from '../../test/support/engines/clickhouse.ts'
import { startBroker } from '../../test/support/engines/kafka/broker.ts'
import { openPostgres } from '../../test/support/engines/postgres.ts'
import { freePort, openRedis } from '../../test/support/engines/redis.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { cpuSecondsOf, familyOf, pidsWith } from './proc.ts'

export type FleetEngines = AsyncDisposable & {
  /** What every process of Rowmill is started with. */
  environment: Record<string, string>
  ports: Record<EngineName, number>
  /** CPU time of each so far, in seconds. */
  cpu(): Record<EngineName, number>
  /** Bytes on disk, in the log by topic. */
  bytes(): Promise<{ kafka: Record<string, number>; postgres: number; wal: number; clickhouse: number }>
  /** Rows of a statement to ClickHouse. */
  ask(sql: string): Promise<unknown[][]>
  countPersons(): Promise<number>
}

export type EngineName = 'kafka' | 'postgres' | 'redis' | 'clickhouse'

export async function openFleetEngines(): Promise<FleetEngines> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempDir('rowmill-bench-kafka-')).path
  const [kafkaPort, controllerPort] = [await freePort(), await freePort()]
  const options = { folder, port: kafkaPort, controllerPort, isOptimised: true, heapMiB: 512 }
  stack.use(await startBroker(options))
  const settings = { fsync: 'on', full_page_writes: 'on', shared_buffers: '256MB', max_wal_size: '1GB' }
  const postgres = stack.use(await openPostgres({ isOwn: true, settings }))
  const redis = stack.use(await openRedis({ isOwn: true }))
  const clickhouse = stack.use(await openClickHouse({ isOwn: true }))
  const [chdb] = familyOf([process.pid]).filter((pid) => pidsWith('chdb/host').includes(pid))
  const pids: Record<EngineName, () => number[]> = {
    kafka: () => pidsWith(join(folder, 'server.properties')),
    postgres: () => familyOf(pidsWith(`port=${postgres.port}`)),
    redis: () => pidsWith(`:${redis.port}`),
    clickhouse: () => [chdb ?? 0],
  }
  const perEngine = (read: (engine: EngineName) => number): Record<EngineName, number> => ({
    kafka: read('kafka'),
    postgres: read('postgres'),
    redis: read('redis'),
    clickhouse: read('clickhouse'),
  })
  const clickhousePort = Number(new URL(clickhouse.url).port)
  const owned = stack.move()
  const ask = (sql: string) => askClickHouse(clickhouse, sql)
  return {
    environment: {
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      KAFKA_HOSTS: `127.0.0.1:${kafkaPort}`,
      REDIS_URL: redis.url,
      DATABASE_URL: postgres.url,
      CLICKHOUSE_HOST: clickhouse.url,
      CLICKHOUSE_USER: clickhouse.user,
      CLICKHOUSE_PASSWORD: clickhouse.password,
      CLICKHOUSE_DATABASE: clickhouse.database,
    },
    ports: { kafka: kafkaPort, postgres: postgres.port, redis: redis.port, clickhouse: clickhousePort },
    cpu: () => perEngine((engine) => cpuSecondsOf(pids[engine]())),
    ask,
    async bytes() {
      const [row] = await askPostgres<{ size: string; wal: string }>(
        postgres.url,
        `select sum(pg_total_relation_size(c.oid)) as size, pg_current_wal_lsn() - '0/0'::pg_lsn as wal
         from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'r' and nspname = 'public'`,
      )
      const [parts] = await ask(
        `select sum(bytes_on_disk) from system.parts where active and database = '${clickhouse.database}'`,
      )
      return {
        kafka: topicBytes(join(folder, 'data')),
        ...{ postgres: Number(row?.size ?? 0), wal: Number(row?.wal ?? 0) },
        clickhouse: Number(parts?.[0] ?? 0),
      }
    },
    async countPersons() {
      const [row] = await askPostgres<{ n: string }>(postgres.url, 'select count(*) as n from posthog_person')
      return Number(row?.n ?? 0)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Bytes that the segments of each topic hold. */
function topicBytes(folder: string): Record<string, number> {
  const sums = new Map<string, number>()
  for (const name of readdirSync(folder)) {
    const topic = /^(.+)-\d+$/.exec(name)?.[1]
    if (topic === undefined) continue
    const segments = readdirSync(join(folder, name)).filter((file) => file.endsWith('.log'))
    const bytes = segments.reduce((sum, file) => sum + statSync(join(folder, name, file)).size, 0)
    if (bytes > 0) sums.set(topic, (sums.get(topic) ?? 0) + bytes)
  }
  return Object.fromEntries([...sums].sort(([, left], [, right]) => right - left))
}

async function askPostgres<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

type Server = { url: string; user: string; password: string; database: string }

async function askClickHouse({ url, user, password, database }: Server, sql: string): Promise<unknown[][]> {
  const parameters = new URLSearchParams({ database, default_format: 'JSONCompactEachRow' })
  const answer = await fetch(`${url}/?${parameters}`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': password },
    body: sql,
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
