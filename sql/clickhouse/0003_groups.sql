create table if not exists groups (
    group_type_index UInt8,
    group_key String,
    created_at DateTime64(3, 'UTC'),
    team_id Int64,
    group_properties String codec(ZSTD(3)),
    version UInt64,
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplacingMergeTree(version)
order by (team_id, group_type_index, group_key)
settings non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
