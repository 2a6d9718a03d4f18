import { join, resolve } from 'node:path'
import { openManagedPostgres } from '../../adapters/embedded/postgres/managed-postgres.ts'
import { openDatabase } from '../../adapters/postgres/database.ts'
import type { Database } from '../../ports/database.ts'
import { Secret } from '../../std/secret.ts'
import type { Config } from '../config/config.ts'
import type { Ground } from '../ground.ts'
import type { RunFile } from '../run-file.ts'
import { openPatiently } from '../start/patience.ts'

export type OpenedDatabase = AsyncDisposable & { database: Database; url: string }

/** The relational store that the config names, that of a running Rowmill on the data folder, or one that is started here. */
export async function openDatabaseOf(
  ground: Ground,
  config: Config,
  { running, signal }: { running?: RunFile | undefined; signal?: AbortSignal | undefined },
): Promise<OpenedDatabase> {
  const named = config.database.url?.reveal() ?? running?.databaseUrl
  const { startWaitMs } = config
  if (named !== undefined) {
    const open = () => openDatabase(ground, { ...config.database, url: new Secret(named) })
    const database = await openPatiently(ground, open, { engine: 'PostgreSQL', startWaitMs, signal })
    return { database, url: named, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
  }
  await using stack = new AsyncDisposableStack()
  const directory = join(resolve(config.dataDir), 'postgres')
  const managed = stack.use(await openManagedPostgres(ground, { ...config.postgres, directory }))
  const url = managed.connectionString
  const database = stack.use(await openDatabase(ground, { ...config.database, url: new Secret(url) }))
  const owned = stack.move()
  return { database, url, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
