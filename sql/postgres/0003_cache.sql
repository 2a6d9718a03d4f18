-- What the embedded cache must not lose: keys that were written to be kept.
create table rowmill_cache (
  -- SHA-256 of the key: keys may be longer than an index takes
  key_hash bytea primary key,
  -- the key and the value as JSON text, which can hold every character
  key text not null,
  kind text not null check (kind in ('text', 'set', 'sorted')),
  value text not null,
  -- wall time in ms; null: it does not expire
  expires_at_ms bigint
);
