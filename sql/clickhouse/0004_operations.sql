create table if not exists ingestion_warnings (
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
) engine = MergeTree
partition by toYYYYMMDD(timestamp)
order by (team_id, toHour(timestamp), type, source, timestamp)
settings non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists app_metrics2 (
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
) engine = AggregatingMergeTree
partition by toYYYYMM(timestamp)
order by (team_id, app_source, app_source_id, instance_id, toStartOfHour(timestamp), metric_kind, metric_name)
ttl toDate(timestamp) + interval 90 day
settings non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- The place on the log is part of the key, so that two lines of the same microsecond both stay.
create table if not exists log_entries (
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
) engine = ReplacingMergeTree(_timestamp)
partition by toYYYYMMDD(timestamp)
order by (team_id, log_source, log_source_id, instance_id, timestamp, _partition, _offset)
ttl toDate(timestamp) + interval 90 day
settings index_granularity = 1024, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
