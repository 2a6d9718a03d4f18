/** The thread of a proof: a processor that does not come back, or ends the thread, leaves the program alone. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { keepConsole } from '../user/keep-console.ts'
import { loadProcessor } from '../user/load-processor.ts'
import { prove } from './prove.ts'
import type { ProofThreadMessage, ProofThreadStart } from './prove-apart.ts'

if (parentPort !== null) void runProof(parentPort, workerData)

async function runProof(port: MessagePort, start: ProofThreadStart): Promise<void> {
  const say = (message: ProofThreadMessage) => port.postMessage(message)
  const { runs, printedBytesMax, left, right, payloads, ...options } = start
  keepConsole(printedBytesMax, (text) => say({ kind: 'printed', text }))
  try {
    const proof = prove({
      ...options,
      left: await loadProcessor(left),
      right: await loadProcessor(right),
      // A Buffer arrives as a plain array of bytes.
      payloads: payloads.map((payload) => ({ ...payload, value: Buffer.from(payload.value) })),
      onRun(side, message) {
        runs[0] = (runs[0] ?? 0) + 1
        runs[1] = message
        runs[2] = side === 'left' ? 0 : 1
      },
    })
    say({ kind: 'proved', proof })
  } catch (error) {
    if (!isRowmillError(error)) throw error
    const { code, message, cause } = error
    say({ kind: 'refused', code, message, cause: cause instanceof Error ? cause.message : undefined })
  }
}
