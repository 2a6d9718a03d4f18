-- The newest version of a row stands; older ones go when parts merge, so read with FINAL or through the view.
create table if not exists person (
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
) engine = ReplacingMergeTree(version)
order by (team_id, id)
settings non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

create table if not exists person_distinct_id2 (
    team_id Int64,
    distinct_id String,
    person_id UUID,
    is_deleted Int8,
    version Int64,
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplacingMergeTree(version)
order by (team_id, distinct_id)
settings index_granularity = 512, non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Only distinct ids that have changed hands: the person on their earlier events is out of date.
create table if not exists person_distinct_id_overrides (
    team_id Int64,
    distinct_id String,
    person_id UUID,
    is_deleted Int8,
    version Int64,
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt32
) engine = ReplacingMergeTree(version)
order by (team_id, distinct_id)
settings index_granularity = 512, non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
