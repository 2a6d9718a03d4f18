/** What a first start creates and later ones find: topics, the log's place in the history, project 1 and a key. */
import { join, resolve } from 'node:path'
import { generateKey, listKeys, storeKey } from '../../api/auth/keys.ts'
import { ensureFirstProject, generateToken, type Project } from '../../api/projects/projects.ts'
import type { Database } from '../../ports/database.ts'
import type { Log } from '../../ports/log.ts'
import { placesOf } from '../needs.ts'
import { ensureOwnTopics } from '../topics.ts'
import type { World } from '../world.ts'
import { joinLogHistory, withHistory } from './log-history.ts'

export type Prepared = { project: Project | undefined; newApiKey: string | undefined }

/**
 * Any number of processes may do this at once, and it may be done again after a failure. At its end the world's log
 * is exchanged for one that knows its history.
 */
export async function prepareStores(world: World): Promise<Prepared> {
  const { config, log, engines, random } = world
  const { database } = engines
  if (log !== undefined) await ensureOwnTopics(log, config)
  if (database === undefined) return { project: undefined, newApiKey: undefined }
  const number = log === undefined ? undefined : await joinHistory({ ...world, log, database })
  const { project } = await ensureFirstProject(database, () => ({
    apiToken: config.projectToken ?? generateToken(random),
  }))
  if (config.apiKey !== undefined)
    await storeKey(database, { value: config.apiKey.reveal(), label: 'from ROWMILL_API_KEY' })
  const newApiKey = await ensureFirstKey(database, () => generateKey(random))
  if (log !== undefined && number !== undefined) world.log = withHistory(log, number)
  return { project, newApiKey }
}

async function joinHistory(ports: World & { log: Log; database: Database }): Promise<number> {
  const { config } = ports
  const isOwn = placesOf(config).log === 'embedded'
  const directory = isOwn ? join(resolve(config.dataDir), 'log') : undefined
  return await joinLogHistory(ports, { directory, isAdopted: config.isLogAdopted })
}

/** Answers the key where this call has made it. */
async function ensureFirstKey(database: Database, generate: () => string): Promise<string | undefined> {
  if ((await listKeys(database)).length > 0) return undefined
  return await database.withLock('first-key', async () => {
    if ((await listKeys(database)).length > 0) return undefined
    const value = generate()
    await storeKey(database, { value, label: 'first start' })
    return value
  })
}
