create table if not exists heatmaps (
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
) engine = MergeTree
partition by toYYYYMM(timestamp)
order by (type, team_id, toDate(timestamp), current_url, viewport_width)
ttl toDate(timestamp) + interval 90 day
settings non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
