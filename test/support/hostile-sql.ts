/**
 * SQL of somebody who wants to see another project's rows, or more than rows, and the two projects that it is tried
 * on. The same list goes to the embedded ClickHouse and to one that the settings name.
 */
import type { Warehouse } from '../../src/ports/warehouse.ts'
import { eventRow, insertRows } from './api.ts'

/** Allowed; what they answer is the first project's alone. */
export const isolatedSql: readonly string[] = [
  'select team_id from events group by team_id',
  'select team_id from (select * from events where team_id = 2)',
  'select team_id from events union all select team_id from person',
  'with x as (select * from events) select team_id from x',
  'select b.team_id from events a join events b on a.event = b.event group by b.team_id',
  'select team_id from events array join [1, 2] as n group by team_id',
  'select team_id from view(select * from events) group by team_id',
  'select team_id from events as ledger group by team_id',
  'select team_id from persons',
  'select team_id from events_with_person where team_id = 2',
  'select team_id from events where 1 or team_id = 2',
  "select distinct_id from events where distinct_id like 'secret%'",
  "select 1 where 'secret-1' in (select distinct_id from events)",
  'select 2 where toInt64(2) in (select team_id from events)',
  'with recursive r as (select 1 as n, team_id from events union all select n + 1, team_id from r where n < 2) select team_id from r group by team_id',
  "select token from drops where token != 'phc_first'",
  'select stage from ledger',
  'select team_id from events sample 1 / 2',
  'select team_id from events order by timestamp limit 1 with ties',
  'select team_id from events limit 1 by team_id',
  'select distinct team_id from events',
  'select any(team_id), max(team_id), min(distinct_id) from events',
  'select team_id from events group by team_id with rollup having team_id != 0',
  'select t.team_id from (select 1 as team_id) t right join events e on t.team_id = e.team_id group by 1',
  'select (select max(team_id) from events)',
  'select arrayJoin(groupUniqArray(team_id)) from events',
  'select team_id from events except select 1',
  'select dummy.team_id from events as dummy global any join person on dummy.team_id = person.team_id limit 1',
]

/** Allowed; if a row of the second project reached their conditions, an error would tell. */
export const oracleSql: readonly string[] = [
  "select count() from events where not throwIf(distinct_id like 'secret%', 'LEAK')",
  "select count() from events final where not throwIf(distinct_id like 'secret%', 'LEAK')",
  "select throwIf(distinct_id like 'secret%', 'LEAK') from events",
  "select count() from events where event = 'e' and length(properties) > 0 and not throwIf(distinct_id like 'secret%', 'LEAK')",
  "select count() from events where toInt64(JSONExtractString(properties, 'n')) = 1",
  "select count() from events_with_person where not throwIf(distinct_id like 'secret%', 'LEAK')",
  "select count() from (select throwIf(team_id = 2, 'LEAK') as t, event from events) where t = 0",
  "select count() from persons where not throwIf(properties like '%secret%', 'LEAK')",
  "select count() from events a join events b on a.event = b.event where not throwIf(b.distinct_id like 'secret%', 'LEAK')",
  "select count() from events e any left join person p on e.team_id = p.team_id where not throwIf(p.properties like '%secret%', 'LEAK')",
  "select count() from events where if(team_id = 1, 1, throwIf(1, 'LEAK')) or throwIf(team_id = 2, 'LEAK')",
  "select sumIf(1, throwIf(distinct_id like 'secret%', 'LEAK')) from events",
  "select count() from events having max(throwIf(distinct_id like 'secret%', 'LEAK')) = 0",
  "select throwIf(distinct_id like 'secret%', 'LEAK') as x from events order by x limit 3",
  "select arrayJoin(if(distinct_id like 'secret%', [throwIf(1, 'LEAK')], [0])) from events limit 3",
  "select count() from events where date_trunc('day', timestamp) > '2020-01-01' and match(distinct_id, 'secret') = 1 and throwIf(1, 'LEAK') = 0",
  "select count() from events group by throwIf(distinct_id like 'secret%', 'LEAK')",
  "select count() from events where distinct_id in (select distinct_id from events where not throwIf(distinct_id like 'secret%', 'LEAK'))",
]

/** Not allowed. */
export const refusedSql: readonly string[] = [
  "select count() from events prewhere not throwIf(team_id = 2, 'LEAK')",
  'select * from events settings additional_table_filters = {}',
  'select * from (select * from events settings additional_table_filters = {})',
  'select * from events settings optimize_move_to_prewhere = 1',
  'select * from system.tables',
  'select * from `system`.`processes`',
  'select * from "system".query_log',
  'select * from system /* */ . tables',
  'select * from system -- x\n.tables',
  'select * from `sys\\x74em`.tables',
  'select * from SYSTEM.tables',
  'select * from information_schema.tables',
  'select 1 in system.one',
  "select * from merge(currentDatabase(), 'events')",
  "select * from remote('127.0.0.1', 'events')",
  "select * from url('http://127.0.0.1:1/')",
  "select * from file('/etc/passwd', 'LineAsString')",
  "select file('/etc/passwd')",
  "select * from `file` ('/etc/passwd')",
  "select * from mergeTreeIndex(currentDatabase(), 'events')",
  "select * from loop(currentDatabase(), 'events')",
  "select * from cluster('default', 'system.tables')",
  "select * from s3('http://127.0.0.1:1/x')",
  "select dictGet('x', 'y', 1)",
  "select joinGet('x', 'y', 1)",
  "select * from executable('id', 'TSV', 'a String')",
  'insert into events values (1)',
  'drop table events',
  'alter table events delete where 1',
  'truncate table events',
  'create table x (a Int8) engine = Memory',
  'set readonly = 0',
  'system flush logs',
  'show processlist',
  'show create user default',
  'explain estimate select * from events',
  'explain indexes = 1 select * from events',
  'select 1; select 2',
  'select 1; drop table events',
  'select 1 format TSV',
  "select 1 into outfile '/tmp/x'",
  'select $a$ x $a$',
  'select 1 // x',
  'select ‘x’',
  'kill query where 1',
  'use system',
  'grant all on *.* to default',
  '',
  '   ',
  '-- nothing',
  ';',
  "select '",
  'select `',
  '/* select 1',
]

/** What the second project's rows hold and no answer to the first may show. */
export const secrets = /secret|\b2\b|phc_second|ingest/
/** In an error, where a number may stand for anything. */
export const secretsInErrors = /LEAK|secret-/

/** Rows of projects 1 and 2, half and half; `tokens` are theirs. */
export async function insertTwoProjects(
  warehouse: Warehouse,
  tokens: { first: string; second: string },
): Promise<void> {
  const rows = Array.from({ length: 400 }, (_, at) =>
    eventRow(
      at % 2 === 0
        ? { team_id: 1, distinct_id: `mine-${at}`, properties: '{"n":"1"}' }
        : { team_id: 2, distinct_id: `secret-${at}`, properties: '{"n":"secret-prop"}' },
    ),
  )
  await insertRows(warehouse, 'events', rows)
  await insertRows(warehouse, 'person', [
    {
      id: crypto.randomUUID(),
      team_id: 1,
      properties: '{}',
      version: 1,
      created_at: '2026-01-01 00:00:00',
    },
    {
      id: crypto.randomUUID(),
      team_id: 2,
      properties: '{"secret":1}',
      version: 1,
      created_at: '2026-01-01 00:00:00',
    },
  ])
  await insertRows(warehouse, 'drops', [
    { uuid: 'a', token: tokens.first, reason: 'duplicate', ended: 'drop', time: '2026-01-01 00:00:00' },
    { uuid: 'b', token: tokens.second, reason: 'duplicate', ended: 'drop', time: '2026-01-01 00:00:00' },
  ])
  await insertRows(warehouse, 'ledger', [{ stage: 'ingest', topic: 't', partition: 0 }])
}
