/** Looks at everything that can be wrong before and while Rowmill runs, and says what to do about it. */
import { constants, existsSync } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import type { Config } from './config/config.ts'
import { hasData } from './data-dir.ts'
import { examineEngines } from './doctor/engines.ts'
import { bad, type Finding } from './doctor/finding.ts'
import { type EnginePlace, needsDataDir, needsOf, placesOf } from './needs.ts'
import { readRunFile } from './run-file.ts'
import { doubtfulCombinations } from './start/combinations.ts'

const needs = { memoryBytes: 1_000_000_000, diskBytes: 2_000_000_000 }

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
  for (const sentence of doubtfulCombinations(config))
    findings.push({ subject: 'settings', state: 'doubtful', says: sentence })
  if (needsDataDir(config)) findings.push(...(await folder(config)))
  if (storesOf(config).includes('embedded')) findings.push(await program(config))
  if (canLook(config)) findings.push(...(await examineEngines(config, options)))
  return options.signal.aborted ? findings.slice(0, 1) : findings
}

/** Whether looking makes nothing new: an engine in the data folder is started only where it has been before. */
function canLook(config: Config): boolean {
  return !storesOf(config).includes('embedded') || hasData(config.dataDir)
}

/** Where the log, the relational store and the warehouse are, as far as the roles need them. */
function storesOf(config: Config): EnginePlace[] {
  const places = placesOf(config)
  return [...needsOf(config)]
    .filter((engine) => engine !== 'cache' && engine !== 'blobs')
    .map((engine) => places[engine])
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

/** The program of the data folder. */
async function program(config: Config): Promise<Finding> {
  const running = readRunFile(config.dataDir)
  if (running !== undefined) return await readiness(running.url)
  const isStarted = canLook(config)
  return {
    subject: 'serve',
    state: 'doubtful',
    says: 'is not running in this data folder',
    advice: `Start it with "rowmill serve"${isStarted ? '; what follows was started for this check alone' : ''}.`,
  }
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

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`
}
