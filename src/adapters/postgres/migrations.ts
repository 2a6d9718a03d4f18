/**
 * Brings the schema of the Database to what this program knows, at every start, by any number of processes
 * at once.
 *
 * Each migration runs in a transaction of its own, whose first statement writes its row into
 * `rowmill_migration`; so it has happened wholly or not at all. What was applied must be what the files say,
 * in their order. A database that is ahead of the program is accepted, unless one of the migrations that the
 * program does not know is breaking.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Database } from '../../ports/database.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Migration } from '../migration-files.ts'

type Applied = { version: number; name: string; checksum: string; is_breaking: boolean }

/** Names of the migrations applied now, in their order. Fails with `MIGRATION_FAILED` or the Database's errors. */
export async function migrateDatabase(
  database: Database,
  options: { files: readonly Migration[]; logger: Logger; signal?: AbortSignal },
): Promise<string[]> {
  const { files, logger, signal } = options
  return await database.withLock(
    'migrate',
    async () => {
      await ensureBookkeeping(database)
      const applied = await database.query<Applied>(
        'select version, name, checksum, is_breaking from rowmill_migration order by version',
      )
      const pending = pendingOf(files, applied)
      if (pending.length > 0) await checkMayCreate(database)
      for (const migration of pending) {
        await applyMigration(database, migration)
        logger.info({ migration: migration.name }, 'A migration of the database was applied.')
      }
      return pending.map((migration) => migration.name)
    },
    signal === undefined ? {} : { signal },
  )
}

/** A user who may not create tables can still start a program whose tables are all there. */
async function ensureBookkeeping(database: Database): Promise<void> {
  const [found] = await database.query<{ name: string | null }>(
    "select to_regclass('rowmill_migration')::text as name",
  )
  if (typeof found?.name === 'string') return
  await checkMayCreate(database)
  await database.execute(
    `create table if not exists rowmill_migration (
      version integer primary key,
      name text not null,
      checksum text not null,
      is_breaking boolean not null,
      applied_at timestamptz not null default now()
    )`,
  )
}

async function checkMayCreate(database: Database): Promise<void> {
  const [row] = await database.query<{ user: string; database: string; schema: string; may: boolean }>(
    `select current_user as user, current_database() as database, coalesce(current_schema(), 'public') as schema,
      coalesce(has_schema_privilege(current_schema(), 'create'), false) as may`,
  )
  if (row === undefined || row.may) return
  throw new RowmillError(
    'MIGRATION_FAILED',
    `The user ${row.user} of database.url (DATABASE_URL) may not create tables in the schema ${row.schema} of the database ${row.database}; run there: grant create, usage on schema "${row.schema}" to "${row.user}".`,
  )
}

function pendingOf(files: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const byVersion = new Map(files.map((file) => [file.version, file]))
  const newest = files.at(-1)?.version ?? 0
  for (const row of applied) {
    const file = byVersion.get(row.version)
    if (file === undefined && (row.version < newest || row.is_breaking))
      throw new RowmillError(
        'MIGRATION_FAILED',
        row.version < newest
          ? `The database has the migration ${row.name}, which is missing here; restore its file from the version of Rowmill that applied it.`
          : `The database has the breaking migration ${row.name} of a newer Rowmill; update this program, or restore a backup made before it.`,
      )
    if (file !== undefined && file.checksum !== row.checksum)
      throw new RowmillError(
        'MIGRATION_FAILED',
        `The migration ${row.name} has changed since it was applied; restore its file and put the change into a new one.`,
      )
  }
  const last = applied.at(-1)?.version ?? 0
  const done = new Set(applied.map((row) => row.version))
  const pending = files.filter((file) => !done.has(file.version))
  const late = pending.find((file) => file.version < last)
  if (late !== undefined)
    throw new RowmillError(
      'MIGRATION_FAILED',
      `The migration ${late.name} was added below number ${last}, which is applied already; give it the next free number.`,
    )
  return pending
}

async function applyMigration(database: Database, migration: Migration): Promise<void> {
  try {
    await database.transaction(async (session) => {
      await session.execute(
        'insert into rowmill_migration (version, name, checksum, is_breaking) values ($1, $2, $3, $4)',
        [migration.version, migration.name, migration.checksum, migration.isBreaking],
      )
      await session.execute("select set_config('statement_timeout', '0', true)")
      await session.execute(migration.sql)
    })
  } catch (cause) {
    throw new RowmillError(
      'MIGRATION_FAILED',
      `The migration ${migration.name} failed; nothing of it was kept.`,
      { cause },
    )
  }
}
