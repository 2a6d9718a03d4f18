import { type DecodedEvent, decodeRecord, InvalidMessage } from '../incoming-event.ts'
import { endEvent, type Step } from '../work.ts'

/** Exit: dead letter `invalid_message`. */
export function createDecodeStep(): Step {
  return {
    name: 'decode',
    run(work) {
      const decoded: DecodedEvent[] = []
      for (const [index, record] of work.batch.records.entries()) {
        try {
          decoded.push(decodeRecord(record, index))
        } catch (error) {
          const reason = error instanceof InvalidMessage ? 'invalid_message' : 'processing_failed'
          endEvent(work, { index }, { kind: 'dead-letter', reason, error })
        }
      }
      work.decoded = decoded
    },
  }
}
