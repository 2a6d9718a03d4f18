/**
 * Looks at every engine that the roles need, each for itself, so that one which is away hides none of the others.
 * What is tried is harmless: an empty record, a key and an object that are gone at once, a table in memory.
 */
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Config } from '../config/config.ts'
import { openBlobs } from '../engines/blobs.ts'
import { openCache } from '../engines/cache.ts'
import { openEngines } from '../engines.ts'
import { createGround, type Ground } from '../ground.ts'
import { openLogView } from '../join.ts'
import { type EngineName, needsOf, placesOf } from '../needs.ts'
import { readRunFile } from '../run-file.ts'
import { bad, doubtful, type Finding, good } from './finding.ts'
import { examineLog } from './log.ts'

const clockSkewMaxMs = 2_000

type Patient = { ground: Ground; config: Config; stack: AsyncDisposableStack; signal: AbortSignal }
type Check = {
  engine: EngineName
  subject: string
  advice: string
  look: (patient: Patient) => Promise<Finding[]>
}

const checks: readonly Check[] = [
  {
    engine: 'database',
    subject: 'PostgreSQL',
    advice: 'Check DATABASE_URL, that PostgreSQL runs, and that its user may make tables.',
    look: async (patient) => await lookAtDatabase(patient),
  },
  {
    engine: 'warehouse',
    subject: 'ClickHouse',
    advice: 'Check CLICKHOUSE_HOST, that ClickHouse runs, and that its user may make and drop tables.',
    look: async (patient) => await lookAtWarehouse(patient),
  },
  {
    engine: 'cache',
    subject: 'Redis',
    advice: 'Check REDIS_URL, that Redis runs, and that its user may write.',
    look: async ({ ground, config, stack }) => [
      await lookAtCache(stack.use(await openCache(ground, config, undefined)), ground.clock),
    ],
  },
  {
    engine: 'blobs',
    subject: 'object store',
    advice: 'Check OBJECT_STORAGE_ENDPOINT, _BUCKET and the access key, which must read, write and delete.',
    look: async ({ ground, config, stack }) => {
      const blobs = stack.use(await openBlobs(ground, { ...config, startWaitMs: 0 }))
      const key = `doctor/${ground.random.bytes(8).toString('hex')}`
      await blobs.put(key, Buffer.from('looked at by the doctor'))
      const read = await blobs.get(key)
      await blobs.delete(key)
      if (read === undefined) throw new Error('An object that was written could not be read.')
      return [good('object store', 'an object was written, read and deleted')]
    },
  },
  {
    engine: 'log',
    subject: 'log',
    advice:
      'Check KAFKA_HOSTS and that Kafka runs; without it, look at the log folder inside the data folder.',
    look: async ({ ground, config, stack, signal }) =>
      await examineLog(stack.use(await openLogView(ground, config)), config, signal),
  },
]

/** Engines of this process that are in its memory or folder are looked at only where there is something to see. */
export async function examineEngines(
  config: Config,
  { signal }: { signal: AbortSignal },
): Promise<Finding[]> {
  const needs = needsOf(config)
  const places = placesOf(config)
  const ground = createGround(
    { ...config, logLevel: config.logLevel === 'info' ? 'warn' : config.logLevel },
    { isToStderr: true },
  )
  const findings: Finding[] = []
  for (const { engine, subject, advice, look } of checks) {
    const isInside = (engine === 'cache' || engine === 'blobs') && places[engine] === 'embedded'
    if (!needs.has(engine) || isInside || signal.aborted) continue
    try {
      await using stack = new AsyncDisposableStack()
      findings.push(...(await look({ ground, config, stack, signal })))
    } catch (error) {
      findings.push(bad(subject, error, advice))
    }
  }
  return findings
}

async function lookAtDatabase(patient: Patient): Promise<Finding[]> {
  const { database } = await openStore(patient, 'database')
  if (database === undefined) return []
  return [await postgres(database, patient.ground.clock), ...(await rights(database))]
}

async function lookAtWarehouse(patient: Patient): Promise<Finding[]> {
  const { warehouse } = await openStore(patient, 'warehouse')
  return warehouse === undefined ? [] : [await clickhouse(warehouse, patient.ground.clock)]
}

async function openStore({ ground, config, stack }: Patient, engine: 'database' | 'warehouse') {
  const running = readRunFile(config.dataDir)
  return stack.use(
    await openEngines(ground, { ...config, startWaitMs: 0 }, { needs: new Set([engine]), running }),
  )
}

async function postgres(database: Database, clock: Clock): Promise<Finding> {
  const before = clock.now()
  const [row] = await database.query<{ version: string; now_ms: string }>(
    `select current_setting('server_version') as version, (extract(epoch from clock_timestamp()) * 1000)::bigint::text as now_ms`,
  )
  const version = row?.version ?? 'unknown'
  if (Number.parseInt(version, 10) < 15)
    return bad('PostgreSQL', `is version ${version}`, 'Rowmill needs PostgreSQL 15 or newer.')
  return (
    skew('PostgreSQL', version, { thereMs: Number(row?.now_ms), hereMs: (before + clock.now()) / 2 }) ??
    good('PostgreSQL', `${version} answers`)
  )
}

/** What Rowmill does besides queries: tables at a migration, a lock, which a pooler may forbid. */
async function rights(database: Database): Promise<Finding[]> {
  const [row] = await database.query<{ may: boolean; who: string; place: string | null; tables: boolean }>(
    `select coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) as may, current_user as who,
       current_schema() as place, to_regclass('posthog_team') is not null as tables`,
  )
  await database.withLock('doctor', () => Promise.resolve())
  if (row?.may !== true)
    return [
      doubtful(
        'PostgreSQL',
        `${row?.who} may make no tables in the schema ${row?.place ?? 'public'}`,
        'Migrations need it: grant create on the schema, or run "rowmill migrate" as a user who may.',
      ),
    ]
  if (row.tables) return []
  return [doubtful('PostgreSQL', 'has no tables of Rowmill yet', 'Run "rowmill migrate", or start serve.')]
}

async function clickhouse(warehouse: Warehouse, clock: Clock): Promise<Finding> {
  const before = clock.now()
  const [row] = await warehouse.query<{ version: string; tables: string; broken: string; now_ms: string }>(
    `select version() as version, toString(toUnixTimestamp64Milli(now64(3))) as now_ms,
       (select count() from system.tables where database = currentDatabase()) as tables,
       (select count() from system.detached_parts where database = currentDatabase() and reason like 'broken%') as broken`,
  )
  const hereMs = (before + clock.now()) / 2
  const version = row?.version ?? 'unknown'
  await warehouse.command('create table if not exists rowmill_doctor (looked UInt8) engine = Memory')
  await warehouse.command('drop table if exists rowmill_doctor')
  if (Number(row?.tables) === 0)
    return doubtful(
      'ClickHouse',
      `${version} answers, without tables`,
      'Run "rowmill migrate", or start serve.',
    )
  if (Number(row?.broken) > 0)
    return doubtful(
      'ClickHouse',
      `${version} answers; ${row?.broken} broken parts are set aside, as a full disk leaves them`,
      'Run "rowmill audit". When it is green, their folders may be deleted: detached/broken-… below clickhouse/ in the data folder.',
    )
  return (
    skew('ClickHouse', version, { thereMs: Number(row?.now_ms), hereMs }) ??
    good('ClickHouse', `${version} answers, ${row?.tables} tables`)
  )
}

async function lookAtCache(cache: Cache, clock: Clock): Promise<Finding> {
  const key = `@rowmill/doctor/${clock.now()}`
  await cache.set(key, 'looked at', { ttlMs: 60_000 })
  const isRead = (await cache.get(key)) === 'looked at'
  await cache.delete(key)
  const lock = await cache.lock(`${key}/lock`, 60_000)
  await lock?.[Symbol.asyncDispose]()
  if (!isRead) throw new Error('A key that was written could not be read.')
  return good('Redis', 'a key was written, read and deleted, a lock taken and given back')
}

function skew(
  subject: string,
  version: string,
  { thereMs, hereMs }: { thereMs: number; hereMs: number },
): Finding | undefined {
  const ms = Math.round(Math.abs(thereMs - hereMs))
  if (ms <= clockSkewMaxMs) return undefined
  return doubtful(subject, `${version}, its clock differs by ${ms} ms`, 'Synchronise the clocks.')
}
