/** Looks at everything that can be wrong before and while Rowmill runs, and says what to do about it. */
import { constants, existsSync } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { isRowmillError } from '../errors/rowmill-error.ts'
import { topics as names } from '../event/topics.ts'
import type { Config } from './config/config.ts'
import { hasData } from './data-dir.ts'
import { type JoinedEngines, joinEngines } from './join.ts'
import { readRunFile } from './run-file.ts'

export type Finding = { subject: string; state: 'good' | 'doubtful' | 'bad'; says: string; advice?: string }

const needs = { memoryBytes: 1_000_000_000, diskBytes: 2_000_000_000, clockSkewMs: 2_000 }

export async function examine(
  readConfig: () => Config,
  options: { signal: AbortSignal },
): Promise<Finding[]> {
  const findings: Finding[] = [machine()]
  let config: Config
  try {
    config = readConfig()
  } catch (error) {
    return [...findings, bad('settings', error, 'Correct the setting; "rowmill config" prints them all.')]
  }
  findings.push({ subject: 'settings', state: 'good', says: 'are complete and do not contradict each other' })
  findings.push(...(await folder(config)))
  const running = readRunFile(config.dataDir)
  findings.push(
    running === undefined
      ? {
          subject: 'serve',
          state: 'doubtful',
          says: 'is not running in this data folder',
          advice: `Start it with "rowmill serve"${hasData(config.dataDir) ? '; what follows was started for this check alone' : ''}.`,
        }
      : await readiness(running.url),
  )
  if (!hasData(config.dataDir)) return findings
  try {
    await using engines = await joinEngines(config)
    findings.push(...(await examineEngines(engines)))
  } catch (error) {
    findings.push(bad('engines', error, 'The message above names the engine; its log lines stand before it.'))
  }
  return options.signal.aborted ? findings.slice(0, 1) : findings
}

function machine(): Finding {
  const says = `${availableParallelism()} cores, ${gigabytes(totalmem())} of memory, node ${process.version}`
  if (totalmem() >= needs.memoryBytes) return { subject: 'machine', state: 'good', says }
  return {
    subject: 'machine',
    state: 'doubtful',
    says,
    advice: 'Embedded ClickHouse and PostgreSQL want 1 GB of memory or more.',
  }
}

async function folder(config: Config): Promise<Finding[]> {
  try {
    if (!existsSync(config.dataDir)) {
      const says = `${config.dataDir} does not exist yet`
      return [{ subject: 'data folder', state: 'doubtful', says, advice: '"rowmill serve" makes it.' }]
    }
    await access(config.dataDir, constants.W_OK)
  } catch (error) {
    return [
      bad(
        'data folder',
        error,
        `Make ${config.dataDir} writable for this user, or set dataDir (ROWMILL_DATA_DIR).`,
      ),
    ]
  }
  const { bavail, bsize } = await statfs(config.dataDir)
  const free = bavail * bsize
  const says = `${config.dataDir} is writable, ${gigabytes(free)} free`
  if (free >= needs.diskBytes) return [{ subject: 'data folder', state: 'good', says }]
  return [
    {
      subject: 'data folder',
      state: 'bad',
      says,
      advice: 'Free some room: with a full disk, capture answers 503.',
    },
  ]
}

async function readiness(url: string): Promise<Finding> {
  try {
    const answer = await fetch(`${url}/_readiness`)
    if (answer.ok) return { subject: 'serve', state: 'good', says: `runs and is ready at ${url}` }
    return {
      subject: 'serve',
      state: 'bad',
      says: `runs at ${url} but is not ready: ${(await answer.text()).slice(0, 300)}`,
      advice: 'Look at its log.',
    }
  } catch (error) {
    return bad('serve', error, 'It runs but does not answer; look at its log.')
  }
}

async function examineEngines(engines: JoinedEngines): Promise<Finding[]> {
  const checks: [subject: string, advice: string, check: () => Promise<Finding>][] = [
    ['PostgreSQL', 'Check DATABASE_URL and that PostgreSQL runs.', () => postgres(engines)],
    ['ClickHouse', 'Check CLICKHOUSE_HOST and that ClickHouse runs.', () => clickhouse(engines)],
    ['log', 'Look at the log folder inside the data folder.', () => log(engines)],
  ]
  const findings: Finding[] = []
  for (const [subject, advice, check] of checks) {
    try {
      findings.push(await check())
    } catch (error) {
      findings.push(bad(subject, error, advice))
    }
  }
  return findings
}

async function postgres({ database, clock }: JoinedEngines): Promise<Finding> {
  const before = clock.now()
  const [row] = await database.query<{ version: string; now_ms: string }>(
    `select current_setting('server_version') as version, (extract(epoch from clock_timestamp()) * 1000)::bigint::text as now_ms`,
  )
  const skewMs = Math.abs(Number(row?.now_ms) - (before + clock.now()) / 2)
  const version = row?.version ?? 'unknown'
  if (Number.parseInt(version, 10) < 15)
    return {
      subject: 'PostgreSQL',
      state: 'bad',
      says: `is version ${version}`,
      advice: 'Rowmill needs PostgreSQL 15 or newer.',
    }
  if (skewMs > needs.clockSkewMs)
    return {
      subject: 'PostgreSQL',
      state: 'doubtful',
      says: `${version}, its clock differs by ${Math.round(skewMs)} ms`,
      advice: 'Synchronise the clocks.',
    }
  return { subject: 'PostgreSQL', state: 'good', says: `${version} answers` }
}

async function clickhouse({ warehouse }: JoinedEngines): Promise<Finding> {
  const [row] = await warehouse.query<{ version: string; tables: string; broken: string }>(
    `select version() as version,
       (select count() from system.tables where database = currentDatabase()) as tables,
       (select count() from system.detached_parts where database = currentDatabase() and reason like 'broken%') as broken`,
  )
  if (Number(row?.tables) === 0)
    return {
      subject: 'ClickHouse',
      state: 'doubtful',
      says: `${row?.version} answers, without tables`,
      advice: 'Run "rowmill migrate", or start serve.',
    }
  if (Number(row?.broken) > 0)
    return {
      subject: 'ClickHouse',
      state: 'doubtful',
      says: `${row?.version} answers; ${row?.broken} broken parts are set aside, as a full disk leaves them`,
      advice:
        'Run "rowmill audit". When it is green, their folders may be deleted: detached/broken-… below clickhouse/ in the data folder.',
    }
  return { subject: 'ClickHouse', state: 'good', says: `${row?.version} answers, ${row?.tables} tables` }
}

async function log({ log: view }: JoinedEngines): Promise<Finding> {
  const topics = await view.describe()
  const positions = await view.positions()
  let waiting = 0
  for (const { topic, partition, position } of positions) {
    if (topic === names.dedup) continue
    const end = topics.find(({ name }) => name === topic)?.bounds[partition]?.end ?? position
    waiting += Math.max(0, end - position)
  }
  return { subject: 'log', state: 'good', says: `${topics.length} topics, ${waiting} records wait` }
}

function bad(subject: string, error: unknown, advice: string): Finding {
  const says =
    error instanceof Error
      ? `${isRowmillError(error) ? `${error.code}: ` : ''}${error.message}`
      : String(error)
  return { subject, state: 'bad', says, advice }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`
}
