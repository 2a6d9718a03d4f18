/**
 * The statements of a cluster. A cluster of several servers is not run here: the statements are held against a text
 * that was looked over, each is read by the real engine, and all are run on one engine that knows a cluster of one
 * shard, with plain tables in the place of replicated ones, which need ClickHouse Keeper.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { suite, test } from 'node:test'
import { quietTelemetry } from '../../../../test/support/quiet.ts'
import { openTestWarehouse } from '../../../../test/support/warehouse.ts'
import { isRowmillError } from '../../../errors/rowmill-error.ts'
import { createSystemClock } from '../../embedded/clock.ts'
import { createSystemRandom } from '../../embedded/random.ts'
import { loadMigrations } from '../../migration-files.ts'
import { warehouseConfigSchema } from '../config.ts'
import { migrateWarehouse, splitStatements } from '../migrations.ts'
import { openWarehouse } from '../warehouse.ts'
import { clusterCommand, clusterStatements } from './cluster-statements.ts'

const place = { cluster: 'prod-1', database: 'rowmill' }
const golden = new URL('./cluster-statements.golden.sql', import.meta.url)

async function ownStatements(): Promise<string[]> {
  const files = await loadMigrations(new URL('../../../../sql/clickhouse/', import.meta.url))
  return files.flatMap(({ sql }) => splitStatements(sql)).flatMap((sql) => clusterStatements(sql, place))
}

suite('the statements of a cluster', () => {
  test('every migration becomes exactly the statements that were looked over', async () => {
    const text = (await ownStatements()).map((sql) => `${sql};\n`).join('\n')
    // ROWMILL_WRITE_GOLDEN=1 writes what is to be looked over.
    if (process.env.ROWMILL_WRITE_GOLDEN === '1') await writeFile(golden, text)
    assert.equal(text, await readFile(golden, 'utf8'))
  })

  test('the engine reads every one of them', async () => {
    await using opened = await openTestWarehouse()
    for (const sql of await ownStatements()) {
      const [row] = await opened.warehouse.query<{ text: string }>(
        'SELECT formatQuery({sql:String}) AS text',
        {
          parameters: { sql },
        },
      )
      assert.match(row?.text ?? '', /^CREATE (TABLE|VIEW) IF NOT EXISTS rowmill\.\w+ ON CLUSTER `prod-1`/)
    }
  })

  test('a change of a table goes to its shards, and what stands over them is made anew', () => {
    const change = "alter table events add column more String default 'x'"
    assert.deepEqual(clusterStatements(change, place), [
      "alter table `rowmill`.sharded_events on cluster `prod-1` add column more String default 'x'",
      'create or replace table `rowmill`.events on cluster `prod-1` as `rowmill`.sharded_events engine = Distributed(`prod-1`, `rowmill`, sharded_events, cityHash64(distinct_id))',
    ])
    assert.deepEqual(clusterStatements('alter table person drop column x', place), [
      'alter table `rowmill`.person on cluster `prod-1` drop column x',
    ])
  })

  test('a deletion of rows goes to the tables that hold them, everything else stays', () => {
    assert.equal(
      clusterCommand('alter table events delete where team_id = {team:Int64}', place),
      'alter table `rowmill`.sharded_events on cluster `prod-1` delete where team_id = {team:Int64}',
    )
    for (const sql of [
      'alter table person delete where 1',
      'alter table events add column x Int8',
      'select 1',
    ])
      assert.equal(clusterCommand(sql, place), sql)
  })

  test('a Warehouse on a cluster sends its migrations, inserts and deletions so', async () => {
    await using server = await openRecorder()
    const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
    const config = warehouseConfigSchema.parse({ cluster: 'prod-1', insertQuorum: 'auto' })
    const connection = { url: server.url, user: 'u', password: 'p', database: 'rowmill' }
    await using warehouse = await openWarehouse(ground, { ...config, ...connection })
    const files = await loadMigrations(new URL('../../../../sql/clickhouse/', import.meta.url))
    await migrateWarehouse(warehouse, { files, logger: ground.logger })
    const sent = server.requests.map(({ body }) => body)
    assert.equal(sent[0], 'CREATE DATABASE IF NOT EXISTS `rowmill` ON CLUSTER `prod-1`')
    assert.match(
      sent[1] ?? '',
      /^create table if not exists `rowmill`\.schema_migrations on cluster `prod-1` [\s\S]* engine = ReplicatedReplacingMergeTree\('\/clickhouse\/tables\/rowmill\/all\/\{database\}\/schema_migrations', '\{shard\}-\{replica\}'\)/,
    )
    for (const sql of await ownStatements()) assert(sent.includes(sql), sql)

    const body = Buffer.from('{}\n')
    await warehouse.insert({ table: 'events', format: 'JSONEachRow', body, token: 'a' })
    const insert = server.requests.at(-1)?.settings
    assert.equal(insert?.get('distributed_foreground_insert'), '1')
    assert.equal(insert.get('insert_quorum'), 'auto')
    assert.equal(insert.get('insert_deduplication_token'), 'a')
    assert.equal(insert.get('async_insert'), '0')
    await warehouse.command('alter table events delete where 1', { settings: { mutations_sync: 1 } })
    assert.equal(
      server.requests.at(-1)?.body,
      'alter table `rowmill`.sharded_events on cluster `prod-1` delete where 1',
    )
    await warehouse.query('select 1')
    assert.equal(server.requests.at(-1)?.settings.get('skip_unavailable_shards'), '0')
  })

  test('a statement of an unknown kind is refused', () => {
    for (const sql of [
      'rename table a to b',
      'insert into events select 1',
      'create table x engine = Log as select 1',
    ])
      assert.throws(
        () => clusterStatements(sql, place),
        (error) => isRowmillError(error, 'MIGRATION_FAILED'),
      )
  })
})

/** Answers everything with nothing, and keeps it. */
async function openRecorder() {
  const requests: { settings: URLSearchParams; body: string }[] = []
  const server = createServer(async (message, response) => {
    let body = ''
    for await (const chunk of message) body += String(chunk)
    requests.push({ settings: new URL(message.url ?? '/', 'http://here').searchParams, body })
    response.end('')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert(address !== null && typeof address === 'object')
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
