import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTestDatabase } from '../../../../test/support/database.ts'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { openTestWarehouse } from '../../../../test/support/warehouse.ts'
import { runCli } from '../../cli.ts'

type Run = { code: number; out: string; err: string }

async function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  let out = ''
  let err = ''
  const code = await runCli({
    arguments: ['storage', ...args],
    environment,
    signal: new AbortController().signal,
    terminal: {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      isInteractive: true,
      hasColour: false,
      columns: 200,
    },
  })
  return { code, out, err }
}

function visits(columns: readonly string[], more = ''): string {
  return `version: v1
kind: storage
name: visits
set: mine
description: Who came by.
stream: { topic: visits }
processor: { built_in: ready_row }
tables:
  - name: visits_local
    columns:
${columns.map((column) => `      - { ${column} }`).join('\n')}
    engine: { kind: MergeTree }
    order_by: [id]
${more}`
}

test("Rowmill's storages are listed and right, without any engine", async () => {
  const { code, out } = await run(['list'])
  assert.equal(code, 0)
  assert.match(out, /^name +topic +processor +tables +file\n/)
  assert.match(out, /^events +clickhouse_events_json +ready_row +events +storages\/rowmill\/events\.yaml$/m)
  const rows = JSON.parse((await run(['list', '--json'])).out) as { name: string; tables: string[] }[]
  assert.deepEqual(rows.find(({ name }) => name === 'distinct-ids')?.tables, [
    'person_distinct_id2',
    'person_distinct_id_overrides',
  ])
  assert.equal((await run(['check'])).code, 0)
  assert.deepEqual(await run(['check', 'events']), { code: 0, out: 'The storage is right.\n', err: '' })
})

test('check tells each mistake with its place and answers no', async () => {
  await using folder = await tempDir()
  const file = join(folder.path, 'visits.yaml')
  await writeFile(file, visits(['name: id, type: UInt64, size: 3']))
  const finding = `${file}:11:35: There is no setting tables[0].columns[0].size.`
  for (const word of [file, folder.path])
    assert.deepEqual(await run(['check', word]), { code: 3, out: `${finding}\n`, err: '' })
  assert.deepEqual(JSON.parse((await run(['check', file, '--json'])).out), {
    storages: [],
    findings: [finding],
  })
  const known = await run(['check', '--storage-file', file])
  assert.deepEqual([known.code, known.out], [3, `${finding}\n`])
})

test('wrong usage and unknown names are told', async () => {
  for (const args of [[], ['fly'], ['ddl'], ['ddl', 'a', 'b'], ['diff'], ['list', 'x']])
    assert.equal((await run(args)).code, 2, args.join(' '))
  const unknown = await run(['ddl', 'nothing'])
  assert.equal(unknown.code, 1)
  assert.match(unknown.err, /^STORAGE_UNKNOWN: There is no storage nothing; there are /)
})

test('ddl prints statements, for a node and for a cluster', async () => {
  const { code, out } = await run(['ddl', 'distinct-ids'])
  assert.equal(code, 0)
  assert.equal(out.match(/^CREATE TABLE IF NOT EXISTS `person_distinct_id/gm)?.length, 2)
  assert.equal(out.match(/;\n/g)?.length, 2)
  const clustered = await run(['ddl', 'drops', '--cluster', 'c', '--database', 'd', '--json'])
  const [statement = '', ...more] = JSON.parse(clustered.out) as string[]
  assert.deepEqual(more, [])
  assert.match(
    statement,
    /^CREATE TABLE IF NOT EXISTS `d`\.`drops` ON CLUSTER `c` \([\s\S]*ReplicatedMergeTree\('/,
  )
})

test('diff prints what differs, applies it when told to, and drops only when told to', async () => {
  await using engines = await openTestWarehouse()
  await using database = await openTestDatabase({ isMigrated: false })
  await using data = await tempDir()
  await mkdir(join(data.path, 'log'))
  await writeFile(
    join(data.path, 'visits.yaml'),
    visits(['name: id, type: UInt64', 'name: old, type: String']),
  )
  const file = join(data.path, 'visits.yaml')
  const environment = {
    ROWMILL_DATA_DIR: data.path,
    DATABASE_URL: database.connectionString,
    CLICKHOUSE_HOST: engines.url,
    CLICKHOUSE_USER: engines.user,
    CLICKHOUSE_PASSWORD: engines.password,
    CLICKHOUSE_DATABASE: engines.database,
  }
  const missing = await run(['diff', file], environment)
  assert.equal(missing.code, 3, missing.err)
  assert.match(
    missing.out,
    /^-- visits_local: it does not exist\nCREATE TABLE IF NOT EXISTS `visits_local` \(/,
  )
  assert.equal((await run(['diff', file, '--apply'], environment)).code, 0)
  assert.deepEqual(await run(['diff', file], environment), {
    code: 0,
    out: 'visits: the live tables are as the storage says.\n',
    err: '',
  })

  await writeFile(file, visits(['name: id, type: UInt64', 'name: new, type: String, default: "\'x\'"']))
  const changed = await run(['diff', file], environment)
  const added =
    "-- visits_local: the column new is missing\nALTER TABLE `visits_local` ADD COLUMN `new` String DEFAULT 'x' AFTER `id`;\n"
  const drop =
    '-- visits_local: the column old is not in the storage (dropped only with --drop)\n-- ALTER TABLE `visits_local` DROP COLUMN `old`;\n'
  assert.deepEqual(changed, { code: 3, out: `${added}\n${drop}`, err: '' })
  const kept = await run(['diff', file, '--apply'], environment)
  assert.equal(kept.code, 3)
  assert.match(kept.out, /the column new is missing \(done\)/)
  const dropped = await run(['diff', file, '--apply', '--drop', '--json'], environment)
  assert.equal(dropped.code, 0)
  assert.deepEqual(JSON.parse(dropped.out), [
    {
      kind: 'column-surplus',
      table: 'visits_local',
      what: 'the column old is not in the storage',
      statement: 'ALTER TABLE `visits_local` DROP COLUMN `old`',
      isApplied: true,
    },
  ])
})
