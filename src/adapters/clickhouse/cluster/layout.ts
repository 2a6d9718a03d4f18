/**
 * Which of Rowmill's own tables are cut into shards, and by what. All others are whole on every node: they are
 * small, or are joined to each shard's rows.
 *
 * A key must be made of the row alone, never of chance: an insert that is repeated has to be cut into the same
 * pieces, or its token would hide rows that never came. And rows that replace each other, or grow into one
 * another, have to meet in one shard: a key may name only what their sorting key names.
 */
const shardingKeys: ReadonlyMap<string, string> = new Map([
  ['events', 'cityHash64(distinct_id)'],
  ['session_replay_events', 'cityHash64(session_id)'],
  ['heatmaps', 'cityHash64(session_id)'],
  ['log_entries', 'cityHash64(log_source_id, instance_id)'],
  ['app_metrics2', 'cityHash64(app_source_id, instance_id)'],
  ['ingestion_warnings', 'cityHash64(team_id)'],
  ['drops', 'cityHash64(uuid)'],
])

export function shardingKeyOf(table: string): string | undefined {
  return shardingKeys.get(table)
}

/** The table of one shard, behind the one over all shards. PostHog names its own alike. */
export function shardTable(table: string): string {
  return `sharded_${table}`
}

/** Where the replicas of a table meet: those of one shard, or all nodes. */
export function replicationOf(table: string): { path: string; replica: string } {
  const isSharded = shardingKeys.has(table)
  const name = isSharded ? shardTable(table) : table
  return isSharded
    ? { path: `/clickhouse/tables/rowmill/{shard}/{database}/${name}`, replica: '{replica}' }
    : { path: `/clickhouse/tables/rowmill/all/{database}/${name}`, replica: '{shard}-{replica}' }
}
