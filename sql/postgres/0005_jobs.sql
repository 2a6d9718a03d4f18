-- The job queue. Names are those of PostHog's cyclotron, second generation; what it lacks stands below each list.
create type cyclotronjobstatus as enum ('available', 'running', 'completed', 'failed', 'canceled');

create table cyclotron_jobs (
  -- UUIDv7: made by the creator, in the order of time
  id uuid primary key,
  team_id integer not null,
  function_id uuid,
  queue_name text not null check (length(queue_name) between 1 and 200),
  status cyclotronjobstatus not null default 'available',
  -- lower ones first
  priority smallint not null default 0,
  scheduled timestamptz not null,
  created timestamptz not null,
  -- given out with a claim; who does not have it can change nothing
  lock_id uuid,
  last_heartbeat timestamptz,
  -- how often a worker died with the job
  janitor_touch_count smallint not null default 0,
  transition_count smallint not null default 0,
  last_transition timestamptz not null,
  parent_run_id text,
  -- JSON, gzipped from a size on
  state bytea,
  distinct_id text,
  person_id text,
  action_id text,
  cancel_requested_at timestamptz,
  -- ours: JSON like state
  parameters bytea,
  metadata bytea,
  -- a byte that tells raw (0) from gzip (1), then the bytes
  blob bytea,
  -- attempts begun since the job was last given a new task
  attempt smallint not null default 0,
  attempts_max smallint not null,
  attempted_by text,
  -- one entry for each attempt that did not succeed, oldest first
  errors jsonb,
  -- no second job with this key waits or runs in the queue
  unique_key text
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Compressed by us where that helps.
alter table cyclotron_jobs alter column state set storage external;
alter table cyclotron_jobs alter column parameters set storage external;
alter table cyclotron_jobs alter column metadata set storage external;
alter table cyclotron_jobs alter column blob set storage external;

-- Every change of status writes all indexes that the row belongs to, so they are partial wherever they can be.
create index cyclotron_jobs_available on cyclotron_jobs (queue_name, priority, scheduled) where status = 'available';
create index cyclotron_jobs_running on cyclotron_jobs (last_heartbeat) where status = 'running';
create index cyclotron_jobs_done on cyclotron_jobs (last_transition) where status in ('completed', 'canceled');
create index cyclotron_jobs_failed on cyclotron_jobs (last_transition) where status = 'failed';
create index cyclotron_jobs_team on cyclotron_jobs (team_id, id) where status in ('available', 'failed');
create index cyclotron_jobs_function on cyclotron_jobs (function_id, id) where function_id is not null;
create index cyclotron_jobs_distinct_id on cyclotron_jobs (team_id, distinct_id) where distinct_id is not null;
create index cyclotron_jobs_person on cyclotron_jobs (team_id, person_id) where person_id is not null;
create index cyclotron_jobs_action on cyclotron_jobs (action_id) where action_id is not null;
create unique index cyclotron_jobs_unique_key on cyclotron_jobs (queue_name, unique_key)
  where unique_key is not null and status in ('available', 'running');

-- Jobs that the queue has given up: their attempts were used up, or they took their workers down.
create table cyclotron_jobs_dead_letter (
  id uuid primary key,
  team_id integer not null,
  function_id uuid,
  original_queue_name text not null,
  original_status cyclotronjobstatus not null,
  priority smallint not null,
  scheduled timestamptz not null,
  created timestamptz not null,
  last_heartbeat timestamptz,
  janitor_touch_count smallint not null,
  transition_count smallint not null,
  last_transition timestamptz not null,
  parent_run_id text,
  state bytea,
  distinct_id text,
  person_id text,
  action_id text,
  -- poison_pill or attempts_used_up
  reason text not null,
  dlq_time timestamptz not null,
  -- ours
  parameters bytea,
  metadata bytea,
  blob bytea,
  attempt smallint not null,
  attempts_max smallint not null,
  attempted_by text,
  errors jsonb
);
alter table cyclotron_jobs_dead_letter alter column state set storage external;
alter table cyclotron_jobs_dead_letter alter column parameters set storage external;
alter table cyclotron_jobs_dead_letter alter column metadata set storage external;
alter table cyclotron_jobs_dead_letter alter column blob set storage external;
create index cyclotron_jobs_dead_letter_time on cyclotron_jobs_dead_letter (dlq_time);
create index cyclotron_jobs_dead_letter_team on cyclotron_jobs_dead_letter (team_id, id);
create index cyclotron_jobs_dead_letter_queue on cyclotron_jobs_dead_letter (original_queue_name, id);

-- Jobs that come again and again. Whoever moves next_at forward creates the job, in one statement.
create table rowmill_job_schedules (
  name text primary key check (length(name) between 1 and 200),
  team_id integer not null,
  queue_name text not null check (length(queue_name) between 1 and 200),
  every_ms bigint not null check (every_ms >= 1000),
  parameters bytea,
  next_at timestamptz not null,
  last_at timestamptz
);
create index rowmill_job_schedules_next on rowmill_job_schedules (next_at);
