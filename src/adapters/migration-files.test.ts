import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { tempDir } from '../../test/support/temp-dir.ts'
import { isRowmillError } from '../errors/rowmill-error.ts'
import { loadMigrations } from './migration-files.ts'

async function load(files: Record<string, string>) {
  await using dir = await tempDir()
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir.path, name), text)
  return await loadMigrations(pathToFileURL(`${dir.path}/`))
}

test('migrations come by number, other files are left alone', async () => {
  const migrations = await load({ '0010_b.sql': 'two', '0002_a.sql': 'one', 'readme.md': 'text' })
  assert.deepEqual(
    migrations.map(({ version, name, sql, isBreaking }) => ({ version, name, sql, isBreaking })),
    [
      { version: 2, name: '0002_a', sql: 'one', isBreaking: false },
      { version: 10, name: '0010_b', sql: 'two', isBreaking: false },
    ],
  )
})

test('a checksum depends on the text and not on line endings', async () => {
  const [unix, dos, other] = await load({
    '0001_a.sql': 'a\nb\n',
    '0002_b.sql': 'a\r\nb\r\n',
    '0003_c.sql': 'a\nc\n',
  })
  assert.equal(unix?.checksum, dos?.checksum)
  assert.notEqual(unix?.checksum, other?.checksum)
})

test('a line of its own marks a breaking migration', async () => {
  const migrations = await load({
    '0001_a.sql': 'select 1;\n-- breaking\n',
    '0002_b.sql': '-- not breaking\n',
  })
  assert.deepEqual(
    migrations.map(({ isBreaking }) => isBreaking),
    [true, false],
  )
})

test('wrong names and numbers used twice are refused', async () => {
  const isFailed = (error: unknown) => isRowmillError(error, 'MIGRATION_FAILED')
  await assert.rejects(load({ '1_a.sql': '' }), isFailed)
  await assert.rejects(load({ '0001_a.sql': '', '0001_b.sql': '' }), isFailed)
})
