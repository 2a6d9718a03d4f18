create table if not exists `rowmill`.sharded_events on cluster `prod-1` (
    uuid UUID,
    event String,
    properties String codec(ZSTD(3)),
    timestamp DateTime64(6, 'UTC'),
    team_id Int64,
    project_id Int64 default team_id,
    distinct_id String,
    elements_chain String,
    created_at DateTime64(6, 'UTC'),
    person_id UUID,
    person_created_at DateTime64(3, 'UTC'),
    person_properties String codec(ZSTD(3)),
    group0_properties String codec(ZSTD(3)),
    group1_properties String codec(ZSTD(3)),
    group2_properties String codec(ZSTD(3)),
    group3_properties String codec(ZSTD(3)),
    group4_properties String codec(ZSTD(3)),
    group0_created_at DateTime64(3, 'UTC'),
    group1_created_at DateTime64(3, 'UTC'),
    group2_created_at DateTime64(3, 'UTC'),
    group3_created_at DateTime64(3, 'UTC'),
    group4_created_at DateTime64(3, 'UTC'),
    person_mode Enum8('full' = 0, 'propertyless' = 1, 'force_upgrade' = 2),
    historical_migration Bool,
    captured_at Nullable(DateTime64(6, 'UTC')),
    source_topic LowCardinality(String),
    source_partition UInt32,
    source_offset UInt64,
    inserted_at DateTime64(3, 'UTC') default now64(3),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32,
    -- The same look-up each time, for ClickHouse then makes it once: one for each column costs a fifth of an insert.
    `$group_0` String materialized tupleElement(JSONExtract(properties, 'Tuple(`$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String, `$window_id` String, `$session_id` String)'), '$group_0'),
    `$group_1` String materialized tupleElement(JSONExtract(properties, 'Tuple(`$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String, `$window_id` String, `$session_id` String)'), '$group_1'),
    `$group_2` String materialized tupleElement(JSONExtract(properties, 'Tuple(`$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String, `$window_id` String, `$session_id` String)'), '$group_2'),
    `$group_3` String materialized tupleElement(JSONExtract(properties, 'Tuple(`$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String, `$window_id` String, `$session_id` String)'), '$group_3'),
    `$group_4` String materialized tupleElement(JSONExtract(properties, 'Tuple(`$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String, `$window_id` String, `$session_id` String)'), '$group_4'),
    `$window_id` String materialized tupleElement(JSONExtract(properties, 'Tuple(`$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String, `$window_id` String, `$session_id` String)'), '$window_id'),
    `$session_id` String materialized tupleElement(JSONExtract(properties, 'Tuple(`$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String, `$window_id` String, `$session_id` String)'), '$session_id'),
    elements_chain_href String materialized extract(elements_chain, '(?::|")href="(.*?)"'),
    elements_chain_texts Array(String) materialized arrayDistinct(extractAll(elements_chain, '(?::|")text="(.*?)"')),
    elements_chain_ids Array(String) materialized arrayDistinct(extractAll(elements_chain, '(?::|")attr_id="(.*?)"')),
    elements_chain_elements Array(LowCardinality(String)) materialized arrayDistinct(
        extractAll(elements_chain, '(?:^|;)(a|button|form|input|select|textarea|label)(?:\\.|$|:)')
    ),
    index uuids uuid type bloom_filter(0.01) granularity 1,
    index distinct_ids distinct_id type bloom_filter(0.01) granularity 1
) engine = ReplicatedReplacingMergeTree('/clickhouse/tables/rowmill/{shard}/{database}/sharded_events', '{replica}', _timestamp)
partition by toYYYYMM(timestamp)
order by (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
sample by cityHash64(distinct_id)
-- Each column of a wide part has files and buffers of its own; below this size that costs more than it saves.
settings
    replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_bytes_for_wide_part = 67108864;

create table if not exists `rowmill`.events on cluster `prod-1` as `rowmill`.sharded_events engine = Distributed(`prod-1`, `rowmill`, sharded_events, cityHash64(distinct_id));

create table if not exists `rowmill`.person on cluster `prod-1` (
    id UUID,
    created_at DateTime64(3, 'UTC'),
    team_id Int64,
    properties String codec(ZSTD(3)),
    is_identified Int8,
    is_deleted Int8,
    version UInt64,
    last_seen_at Nullable(DateTime64(3, 'UTC')),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedReplacingMergeTree('/clickhouse/tables/rowmill/all/{database}/person', '{shard}-{replica}', version)
order by (team_id, id)
settings replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.person_distinct_id2 on cluster `prod-1` (
    team_id Int64,
    distinct_id String,
    person_id UUID,
    is_deleted Int8,
    version Int64,
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedReplacingMergeTree('/clickhouse/tables/rowmill/all/{database}/person_distinct_id2', '{shard}-{replica}', version)
order by (team_id, distinct_id)
settings index_granularity = 512, replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.person_distinct_id_overrides on cluster `prod-1` (
    team_id Int64,
    distinct_id String,
    person_id UUID,
    is_deleted Int8,
    version Int64,
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedReplacingMergeTree('/clickhouse/tables/rowmill/all/{database}/person_distinct_id_overrides', '{shard}-{replica}', version)
order by (team_id, distinct_id)
settings index_granularity = 512, replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.groups on cluster `prod-1` (
    group_type_index UInt8,
    group_key String,
    created_at DateTime64(3, 'UTC'),
    team_id Int64,
    group_properties String codec(ZSTD(3)),
    version UInt64,
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedReplacingMergeTree('/clickhouse/tables/rowmill/all/{database}/groups', '{shard}-{replica}', version)
order by (team_id, group_type_index, group_key)
settings replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.sharded_ingestion_warnings on cluster `prod-1` (
    team_id Int64,
    source LowCardinality(String),
    type LowCardinality(String),
    category LowCardinality(String) default JSONExtractString(details, 'category'),
    severity LowCardinality(String) default JSONExtractString(details, 'severity'),
    details String codec(ZSTD(3)),
    timestamp DateTime64(6, 'UTC'),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedMergeTree('/clickhouse/tables/rowmill/{shard}/{database}/sharded_ingestion_warnings', '{replica}')
partition by toYYYYMMDD(timestamp)
order by (team_id, toHour(timestamp), type, source, timestamp)
settings replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.ingestion_warnings on cluster `prod-1` as `rowmill`.sharded_ingestion_warnings engine = Distributed(`prod-1`, `rowmill`, sharded_ingestion_warnings, cityHash64(team_id));

create table if not exists `rowmill`.sharded_app_metrics2 on cluster `prod-1` (
    team_id Int64,
    timestamp DateTime64(6, 'UTC'),
    app_source LowCardinality(String),
    app_source_id String,
    instance_id String,
    metric_kind LowCardinality(String),
    metric_name LowCardinality(String),
    count SimpleAggregateFunction(sum, Int64),
    _timestamp SimpleAggregateFunction(max, DateTime('UTC')),
    _offset SimpleAggregateFunction(max, UInt64),
    _partition SimpleAggregateFunction(max, UInt32)
) engine = ReplicatedAggregatingMergeTree('/clickhouse/tables/rowmill/{shard}/{database}/sharded_app_metrics2', '{replica}')
partition by toYYYYMM(timestamp)
order by (team_id, app_source, app_source_id, instance_id, toStartOfHour(timestamp), metric_kind, metric_name)
ttl toDate(timestamp) + interval 90 day
settings replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.app_metrics2 on cluster `prod-1` as `rowmill`.sharded_app_metrics2 engine = Distributed(`prod-1`, `rowmill`, sharded_app_metrics2, cityHash64(app_source_id, instance_id));

create table if not exists `rowmill`.sharded_log_entries on cluster `prod-1` (
    team_id UInt64,
    log_source LowCardinality(String),
    log_source_id String,
    instance_id String,
    timestamp DateTime64(6, 'UTC'),
    level LowCardinality(String),
    message String codec(ZSTD(3)),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedReplacingMergeTree('/clickhouse/tables/rowmill/{shard}/{database}/sharded_log_entries', '{replica}', _timestamp)
partition by toYYYYMMDD(timestamp)
order by (team_id, log_source, log_source_id, instance_id, timestamp, _partition, _offset)
ttl toDate(timestamp) + interval 90 day
settings index_granularity = 1024, ttl_only_drop_parts = 1, replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.log_entries on cluster `prod-1` as `rowmill`.sharded_log_entries engine = Distributed(`prod-1`, `rowmill`, sharded_log_entries, cityHash64(log_source_id, instance_id));

create table if not exists `rowmill`.sharded_heatmaps on cluster `prod-1` (
    session_id String,
    team_id Int64,
    distinct_id String,
    timestamp DateTime64(6, 'UTC'),
    x Int16,
    y Int16,
    scale_factor Int16,
    viewport_width Int16,
    viewport_height Int16,
    pointer_target_fixed Bool,
    current_url String,
    type LowCardinality(String),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedMergeTree('/clickhouse/tables/rowmill/{shard}/{database}/sharded_heatmaps', '{replica}')
partition by toYYYYMM(timestamp)
order by (type, team_id, toDate(timestamp), current_url, viewport_width)
ttl toDate(timestamp) + interval 90 day
settings replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.heatmaps on cluster `prod-1` as `rowmill`.sharded_heatmaps engine = Distributed(`prod-1`, `rowmill`, sharded_heatmaps, cityHash64(session_id));

create table if not exists `rowmill`.sharded_session_replay_events on cluster `prod-1` (
    session_id String,
    team_id Int64,
    distinct_id SimpleAggregateFunction(any, String),
    min_first_timestamp SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    max_last_timestamp SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    block_first_timestamps SimpleAggregateFunction(groupArrayArray, Array(DateTime64(6, 'UTC'))),
    block_last_timestamps SimpleAggregateFunction(groupArrayArray, Array(DateTime64(6, 'UTC'))),
    block_urls SimpleAggregateFunction(groupArrayArray, Array(String)),
    first_url_at SimpleAggregateFunction(min, Tuple(DateTime64(6, 'UTC'), String)),
    all_urls SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    click_count SimpleAggregateFunction(sum, Int64),
    keypress_count SimpleAggregateFunction(sum, Int64),
    mouse_activity_count SimpleAggregateFunction(sum, Int64),
    active_milliseconds SimpleAggregateFunction(sum, Int64),
    console_log_count SimpleAggregateFunction(sum, Int64),
    console_warn_count SimpleAggregateFunction(sum, Int64),
    console_error_count SimpleAggregateFunction(sum, Int64),
    size SimpleAggregateFunction(sum, Int64),
    message_count SimpleAggregateFunction(sum, Int64),
    event_count SimpleAggregateFunction(sum, Int64),
    snapshot_source_at SimpleAggregateFunction(min, Tuple(DateTime64(6, 'UTC'), String)),
    snapshot_library_at SimpleAggregateFunction(min, Tuple(DateTime64(6, 'UTC'), String)),
    _timestamp SimpleAggregateFunction(max, DateTime('UTC')),
    day Date default toDate(min_first_timestamp)
) engine = ReplicatedAggregatingMergeTree('/clickhouse/tables/rowmill/{shard}/{database}/sharded_session_replay_events', '{replica}')
partition by toYYYYMM(day)
order by (day, team_id, session_id)
settings index_granularity = 512, replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.session_replay_events on cluster `prod-1` as `rowmill`.sharded_session_replay_events engine = Distributed(`prod-1`, `rowmill`, sharded_session_replay_events, cityHash64(session_id));

create view if not exists `rowmill`.session_replays on cluster `prod-1` as select
    session_id,
    team_id,
    any(distinct_id) as distinct_id,
    min(min_first_timestamp) as start_time,
    max(max_last_timestamp) as end_time,
    min(first_url_at).2 as first_url,
    groupUniqArrayArray(all_urls) as all_urls,
    sum(click_count) as click_count,
    sum(keypress_count) as keypress_count,
    sum(mouse_activity_count) as mouse_activity_count,
    sum(active_milliseconds) as active_milliseconds,
    sum(console_log_count) as console_log_count,
    sum(console_warn_count) as console_warn_count,
    sum(console_error_count) as console_error_count,
    sum(size) as size,
    sum(message_count) as message_count,
    sum(event_count) as event_count,
    min(snapshot_source_at).2 as snapshot_source,
    min(snapshot_library_at).2 as snapshot_library,
    groupArrayArray(block_urls) as block_urls
from `rowmill`.session_replay_events
group by team_id, session_id;

create table if not exists `rowmill`.ledger on cluster `prod-1` (
    stage LowCardinality(String),
    topic LowCardinality(String),
    partition UInt32,
    from_offset UInt64,
    until_offset UInt64,
    `in` UInt64,
    `out` UInt64,
    dropped UInt64,
    diverted UInt64,
    dead_lettered UInt64,
    reasons Map(LowCardinality(String), UInt64),
    outputs Map(LowCardinality(String), UInt64),
    time DateTime64(6, 'UTC'),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplicatedMergeTree('/clickhouse/tables/rowmill/all/{database}/ledger', '{shard}-{replica}')
order by (stage, topic, partition, from_offset)
settings replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.sharded_drops on cluster `prod-1` (
    uuid String,
    distinct_id String,
    token String,
    event String,
    stage LowCardinality(String),
    ended Enum8('drop' = 0, 'dead-letter' = 1),
    reason LowCardinality(String),
    details String codec(ZSTD(3)),
    topic LowCardinality(String),
    partition UInt32,
    offset Int64,
    time DateTime64(6, 'UTC'),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32,
    index uuids uuid type bloom_filter(0.01) granularity 1,
    index distinct_ids distinct_id type bloom_filter(0.01) granularity 1
) engine = ReplicatedMergeTree('/clickhouse/tables/rowmill/{shard}/{database}/sharded_drops', '{replica}')
partition by toYYYYMM(time)
order by (token, reason, time)
settings replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists `rowmill`.drops on cluster `prod-1` as `rowmill`.sharded_drops engine = Distributed(`prod-1`, `rowmill`, sharded_drops, cityHash64(uuid));

create view if not exists `rowmill`.persons on cluster `prod-1` as select team_id, id, created_at, properties, is_identified, version, last_seen_at
from `rowmill`.person final
where is_deleted = 0;

create view if not exists `rowmill`.events_with_person on cluster `prod-1` as select
    e.* replace (if(o.has_override, o.override_id, e.person_id) as person_id),
    e.`$group_0`, e.`$group_1`, e.`$group_2`, e.`$group_3`, e.`$group_4`, e.`$window_id`, e.`$session_id`
from `rowmill`.events as e
left any join (
    select team_id, distinct_id, argMax(person_id, version) as override_id, true as has_override
    from `rowmill`.person_distinct_id_overrides
    group by team_id, distinct_id
    having argMax(is_deleted, version) = 0
) as o on o.team_id = e.team_id and o.distinct_id = e.distinct_id;
