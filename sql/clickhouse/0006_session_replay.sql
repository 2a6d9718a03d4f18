-- Rows of one session and day grow into one another. A value that belongs to the earliest moment is kept as a
-- pair with that moment, of which the smallest wins. Blocks are keys of the blob store.
create table if not exists session_replay_events (
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
) engine = AggregatingMergeTree
partition by toYYYYMM(day)
order by (day, team_id, session_id)
settings index_granularity = 512, non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per session, whatever has merged.
create view if not exists session_replays as
select
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
from session_replay_events
group by team_id, session_id;
