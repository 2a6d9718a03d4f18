/**
 * Rowmill's tables as a cluster has them, on an engine that knows a cluster of one shard, itself: the tables over
 * all shards, what is inserted through them with tokens, the views, the deletions. What several servers add is not
 * run here: replication, which needs ClickHouse Keeper, and a second shard. So plain tables stand in the place of
 * replicated ones, and ON CLUSTER is left out.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  clusterCommand,
  clusterStatements,
} from '../../../src/adapters/clickhouse/cluster/cluster-statements.ts'
import { splitStatements } from '../../../src/adapters/clickhouse/migrations.ts'
import { openEngine, quoteString } from '../../../src/adapters/embedded/chdb/engine.ts'
import { loadMigrations } from '../../../src/adapters/migration-files.ts'
import { noClickHouse } from '../../support/engines/clickhouse.ts'
import { tempDir } from '../../support/temp-dir.ts'

const place = { cluster: 'one', database: 'rowmill' }
const config = `<clickhouse><tcp_port>9000</tcp_port><remote_servers><one><shard>
  <internal_replication>true</internal_replication><replica><host>localhost</host><port>9000</port></replica>
</shard></one></remote_servers></clickhouse>`

/** What one server without Keeper can run of a cluster's statement. */
function onOneServer(sql: string): string {
  return sql
    .replace(' on cluster `one`', '')
    .replace(/Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?/, '$1(')
    .replace('replicated_deduplication_window', 'non_replicated_deduplication_window')
}

async function openCluster() {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await tempDir('rowmill-cluster-')).path
  const file = join(directory, 'config.xml')
  await writeFile(file, config)
  await mkdir(join(directory, 'data'))
  const engine = stack.use(
    openEngine({ directory: join(directory, 'data'), connectionArgs: [`--config-file=${file}`] }),
  )
  const connection = stack.use(engine.connect())
  const ask = async (sql: string): Promise<string> =>
    Buffer.from((await connection.read(sql)).bytes)
      .toString()
      .trimEnd()
  await ask('create database rowmill')
  await ask('use rowmill')
  const files = await loadMigrations(new URL('../../../sql/clickhouse/', import.meta.url))
  for (const statement of files.flatMap(({ sql }) => splitStatements(sql)))
    for (const sql of clusterStatements(statement, place)) await ask(onOneServer(sql))
  const owned = stack.move()
  let inserts = 0
  return {
    ask,
    async insert(table: string, rows: readonly object[], token: string): Promise<void> {
      const path = join(directory, `rows-${++inserts}`)
      await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
      await ask(
        `insert into ${table} from infile ${quoteString(path)} settings distributed_foreground_insert = 1,
          insert_deduplication_token = ${quoteString(token)}, max_insert_block_size = 100000000,
          min_insert_block_size_rows = 100000000, min_insert_block_size_bytes = 2147483648 format JSONEachRow`,
      )
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function event(number: number, person = 'p1') {
  const digits = String(number).padStart(12, '0')
  return {
    uuid: `00000000-0000-4000-8000-${digits}`,
    event: 'seen',
    properties: JSON.stringify({ $session_id: `s${number}` }),
    timestamp: '2026-01-02 03:04:05.000000',
    team_id: 1,
    distinct_id: person,
    person_id: '00000000-0000-4000-8000-00000000000a',
  }
}

test('what is written through the tables over all shards is there once, with its tokens', {
  skip: noClickHouse,
}, async () => {
  await using cluster = await openCluster()
  const { ask, insert } = cluster
  const batch = (from: number) =>
    Array.from({ length: 1000 }, (_, index) => event(from + index, `p${index % 7}`))
  for (const [from, token] of [
    [0, 'events:0:0-1000'],
    [0, 'events:0:0-1000'],
    [1000, 'events:0:1000-2000'],
    [0, 'events:0:0-1000'],
  ] as const)
    await insert('events', batch(from), token)
  assert.equal(
    await ask('select count(), uniqExact(uuid), uniqExact(`$session_id`) from events'),
    '2000\t2000\t2000',
  )
  assert.equal(await ask('select count() from sharded_events'), '2000')
  assert.equal(await ask('select count() from events final'), '2000')

  const override = {
    team_id: 1,
    distinct_id: 'p3',
    person_id: '00000000-0000-4000-8000-00000000000b',
    is_deleted: 0,
    version: 1,
  }
  await insert('person_distinct_id_overrides', [override], 'overrides:0:0-1')
  assert.equal(
    await ask(
      "select uniqExact(person_id), countIf(distinct_id = 'p3') = countIf(toString(person_id) like '%b') from events_with_person",
    ),
    '2\t1',
  )

  await insert('events', [{ ...event(5000), team_id: 2 }], 'events:1:0-1')
  const filters = "{'rowmill.events': 'team_id = 2', 'rowmill.sharded_events': 'team_id = 2'}"
  assert.equal(
    await ask(`select count(), any(team_id) from events settings additional_table_filters = ${filters}`),
    '1\t2',
    "a project's queries see its own rows alone",
  )

  const sql = clusterCommand("alter table events delete where distinct_id = 'p3'", place)
  await ask(`${onOneServer(sql)} settings mutations_sync = 1`)
  assert.equal(await ask("select countIf(distinct_id = 'p3') from events"), '0')
})

test('a column that is added later is there over all shards', { skip: noClickHouse }, async () => {
  await using cluster = await openCluster()
  for (const sql of clusterStatements("alter table drops add column more String default 'x'", place))
    await cluster.ask(onOneServer(sql))
  await cluster.insert(
    'drops',
    [{ uuid: 'a', reason: 'r', time: '2026-01-02 03:04:05', ended: 'drop' }],
    'drops:0:0-1',
  )
  assert.equal(await cluster.ask('select uuid, more from drops'), 'a\tx')
})
