/**
 * Migrations are plain `.sql` files named `NNNN_name.sql`, append-only: a file that has been released never
 * changes, a new one has a higher number. A file with a line `-- breaking` makes programs that do not know it
 * refuse to start.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { RowmillError } from '../errors/rowmill-error.ts'

export type Migration = {
  version: number
  /** `NNNN_name`, without the ending. */
  name: string
  sql: string
  /** SHA-256 of the text in hex; line endings do not count. */
  checksum: string
  isBreaking: boolean
}

/** The migrations of a folder by version. Fails with `MIGRATION_FAILED` when a name is wrong or a number is used twice. */
export async function loadMigrations(directory: URL): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort()
  const migrations = await Promise.all(names.map((name) => loadMigration(directory, name)))
  migrations.sort((left, right) => left.version - right.version)
  for (const [index, migration] of migrations.entries()) {
    const before = migrations[index - 1]
    if (before?.version === migration.version)
      throw new RowmillError(
        'MIGRATION_FAILED',
        `The migrations ${before.name} and ${migration.name} have the same number; give one the next free number.`,
      )
  }
  return migrations
}

async function loadMigration(directory: URL, fileName: string): Promise<Migration> {
  const match = /^(\d{4})_[a-z0-9_]+\.sql$/.exec(fileName)
  if (match === null)
    throw new RowmillError('MIGRATION_FAILED', `The migration ${fileName} must be named NNNN_name.sql.`)
  const sql = (await readFile(new URL(fileName, directory), 'utf8')).replaceAll('\r\n', '\n')
  return {
    version: Number(match[1]),
    name: fileName.slice(0, -'.sql'.length),
    sql,
    checksum: createHash('sha256').update(sql).digest('hex'),
    isBreaking: /^-- breaking\b/m.test(sql),
  }
}
