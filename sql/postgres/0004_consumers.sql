-- Options of the consumers that are read again while they run.
create table live_options (
  name text not null,
  -- empty: every storage that has no value of its own
  storage text not null default '',
  value jsonb not null,
  updated_at timestamptz not null default now(),
  primary key (name, storage)
);

-- Who changed what: a row per change; value null means that it was taken back.
create table live_option_changes (
  id bigint generated always as identity primary key,
  name text not null,
  storage text not null,
  value jsonb,
  changed_by text not null,
  changed_at timestamptz not null default now()
);

-- What to do with dead letters: asked for by a command, carried out by a program that owns the log.
create table dead_letter_requests (
  id bigint generated always as identity primary key,
  action text not null check (action in ('replay', 'drop')),
  -- the dead letters: [{"topic", "partition", "offset"}]
  letters jsonb not null,
  asked_at timestamptz not null default now(),
  -- where the topics ended before the first record of the request was written, for a second try after a crash
  started jsonb,
  finished_at timestamptz,
  handled int not null default 0,
  error text
);

create index dead_letter_requests_open on dead_letter_requests (id) where finished_at is null;

-- Dead letters that are done with.
create table dead_letters_handled (
  topic text not null,
  partition int not null,
  "offset" bigint not null,
  action text not null check (action in ('replay', 'drop')),
  request_id bigint not null references dead_letter_requests (id),
  handled_at timestamptz not null default now(),
  primary key (topic, partition, "offset")
);
