-- One row per event. The sorting key is PostHog's: what replaces each other is the same uuid on the same day
-- with the same name and distinct id, and the row that was captured last stays.
create table if not exists events (
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
) engine = ReplacingMergeTree(_timestamp)
partition by toYYYYMM(timestamp)
order by (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
sample by cityHash64(distinct_id)
-- Each column of a wide part has files and buffers of its own; below this size that costs more than it saves.
settings
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_bytes_for_wide_part = 67108864;
