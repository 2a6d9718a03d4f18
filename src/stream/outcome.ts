import type { DropReason } from '../event/drop.ts'
import type { NewRecord } from '../ports/log.ts'

/**
 * What becomes of one record. A step returns one outcome for each record of its batch, in their order; it
 * throws only for a bug or for infrastructure that was lost.
 */
export type Outcome =
  /** It goes on as these records; none where the step has written its result elsewhere. */
  | { kind: 'next'; records: readonly NewRecord[] }
  /**
   * It ends here, by decision. A quiet one is expected and frequent: it is counted in the ledger, by its reason
   * and by `details.why` where that is text, and has no row of its own among the drops.
   */
  | { kind: 'drop'; reason: DropReason; details?: Readonly<Record<string, unknown>>; isQuiet?: boolean }
  /** It goes to another topic unchanged, with its key kept or not. */
  | {
      kind: 'divert'
      topic: string
      reason: string
      keepKey: boolean
      headers?: Readonly<Record<string, string>>
    }
  /** It cannot be processed: its original bytes go to the dead-letter topic with the reason and more headers. */
  | {
      kind: 'dead-letter'
      reason: DropReason
      error: unknown
      headers?: Readonly<Record<string, string>>
    }
