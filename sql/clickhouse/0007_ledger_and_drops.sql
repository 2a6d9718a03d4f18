-- One row per finished batch of a stage.
create table if not exists ledger (
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
) engine = MergeTree
order by (stage, topic, partition, from_offset)
settings non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per event that ended without a row.
create table if not exists drops (
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
) engine = MergeTree
partition by toYYYYMM(time)
order by (token, reason, time)
settings non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
