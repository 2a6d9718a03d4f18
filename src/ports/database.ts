/**
 * The relational store: PostgreSQL 15 or newer, spoken to in its own SQL.
 *
 * A statement's values go as `$1`, `$2`, …; nothing is ever spliced into its text. Failures are
 * `RowmillError`s: `DATABASE_UNAVAILABLE` (connection lost, server starting, too many clients; a retry may
 * help) or `DATABASE_REFUSED` (the statement itself failed; `sqlState` and `constraint` in `details`).
 * bigint and numeric columns arrive as strings, timestamptz as ISO-8601 strings, json as parsed values.
 */
export interface DatabaseSession {
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Row[]>
  /** Like `query`, and answers how many rows the statement touched. */
  execute(text: string, values?: readonly unknown[]): Promise<number>
}

export interface Database extends DatabaseSession, AsyncDisposable {
  /**
   * `mayBeStale`: an answer some seconds old will do, so a replica may give it. Only for what people look at;
   * what decides about events, or follows a write, never says so.
   */
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    options?: { mayBeStale?: boolean },
  ): Promise<Row[]>
  /** Commits when `run` resolves, rolls back when it throws. Serialisation failures are the caller's to retry. */
  transaction<T>(run: (session: DatabaseSession) => Promise<T>): Promise<T>
  /** Runs `run` while holding a lock of this name, which a dead holder loses. Waits for it. */
  withLock<T>(name: string, run: () => Promise<T>, options?: { signal?: AbortSignal }): Promise<T>
  /** Payloads of NOTIFY on this channel; reconnects by itself, so one may be missed: poll as well. */
  listen(channel: string, options: { signal: AbortSignal }): AsyncIterable<string>
}
