-- The logs that this database has worked with, in their order. Offsets mean something within one log only, so what
-- is named by them carries the number of the log; the one with the highest number is in use.
create table rowmill_log (
  id uuid primary key,
  number integer not null unique check (number >= 0),
  began_at timestamptz not null
);
