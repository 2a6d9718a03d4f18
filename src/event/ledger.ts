/**
 * The ledger: what became of every record. Each finished batch of a stage writes one row in the same
 * atomic commit as its outputs and its position, so for every stage, topic and partition the ranges tile
 * the log without gap or overlap, and
 *
 *     in = out + dropped + diverted + dead_lettered
 *
 * `rowmill audit` proves both, end to end.
 */
export type LedgerRow = {
  /** The consumer group. */
  stage: string
  topic: string
  partition: number
  /** First offset of the batch. */
  from_offset: number
  /** Next offset after the batch. */
  until_offset: number
  in: number
  /** Records that went on. */
  out: number
  dropped: number
  diverted: number
  dead_lettered: number
  /** Counts by reason of drops and dead letters, by topic of diversions. */
  reasons: Record<string, number>
  /** Records written per output topic, diversions and dead letters included. */
  outputs: Record<string, number>
  /** `YYYY-MM-DD HH:MM:SS.ffffff`, UTC. */
  time: string
}
