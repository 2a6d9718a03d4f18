/**
 * The fallback: while the log refuses records for a reason that may pass, they are kept in the blob store and the
 * request is answered with success, because they are as durable there. They are brought to the log when it is well
 * again (`drain.ts`), so nothing that was accepted is lost, and `trace` and `audit` find it once it is drained.
 *
 *     append ─▶ log ──takes it──▶ done
 *                └─refuses for now─▶ object store ─▶ done … drain ─▶ log
 *
 * Refusals for good are told as they are and never kept. What is kept has a bound; beyond it the answer is that of
 * a log without a fallback. Events that come while older ones still wait go to the log directly, so the order of
 * the log is not the order of arrival then; each event carries its own time.
 */
import { isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache } from '../../ports/cache.ts'
import type { NewRecord } from '../../ports/log.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { isTransient } from '../sink.ts'
import type { RecordSink } from '../sinks/record-sink.ts'
import type { FallbackConfig } from './config.ts'
import { runDrain } from './drain.ts'
import { createGate } from './gate.ts'
import { encodeRecords } from './object-format.ts'
import { createObjectStore, type ObjectStore, type StoreDeps } from './store.ts'

export type FallbackDeps = StoreDeps & { log: RecordSink; cache: Pick<Cache, 'lock'>; logger: Logger }
/** `recordBytesMax` is the log's: what it would never take is not kept for it. */
export type FallbackOptions = FallbackConfig & { recordBytesMax: number }

export interface Fallback extends RecordSink, AsyncDisposable {}

/**
 * Counts what an earlier run has left and begins to drain it, even where the fallback has been switched off since:
 * what was accepted is owed. Disposing ends the drain and waits for what is
 * being written.
 */
export async function openFallback(
  deps: FallbackDeps,
  options: FallbackOptions,
  { signal }: { signal: AbortSignal },
): Promise<Fallback> {
  const { log, metrics } = deps
  const stop = new AbortController()
  const until = AbortSignal.any([signal, stop.signal])
  const gate = createGate(deps, options)
  const store = createObjectStore(deps, options)
  const isLeft = await countLeft(deps, store, until)
  const draining =
    options.isEnabled || isLeft
      ? runDrain({ ...deps, gate, store, appended: new Set() }, options, until)
      : undefined
  const keep = async (records: readonly NewRecord[], cause: unknown) => {
    refuseTooLarge(records, options.recordBytesMax)
    await store.keep(encodeRecords(records), cause)
    metrics.count('capture_fallback_sink_failovers_total', records.length)
  }
  return {
    async append(records) {
      if (!options.isEnabled) {
        await log.append(records)
        return
      }
      if (!gate.mayAsk()) return await keep(records, undefined)
      try {
        await log.append(records)
      } catch (error) {
        if (!isTransient(error)) throw error
        gate.failed(error)
        return await keep(records, error)
      }
      gate.succeeded()
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await draining
      await store.idle()
    },
  }
}

/** Whether anything is there. A blob store that is away at the start keeps nobody from capturing: the drain looks again. */
async function countLeft(deps: FallbackDeps, store: ObjectStore, signal: AbortSignal): Promise<boolean> {
  const found = { objects: 0, bytes: 0 }
  try {
    for await (const { bytes } of store.list(signal)) {
      found.objects++
      found.bytes += bytes
    }
    store.recount(found)
  } catch (error) {
    if (!isRowmillError(error)) throw error
    deps.logger.warn({ error }, 'the fallback could not count what an earlier run has left')
  }
  return found.objects > 0
}

/** More than what a log counts for a record besides its key, value and headers. */
const recordHeadBytes = 128

function refuseTooLarge(records: readonly NewRecord[], recordBytesMax: number): void {
  for (const { key, value, headers = {} } of records) {
    const headersBytes = Buffer.byteLength(JSON.stringify(headers))
    const bytes = recordHeadBytes + (key === null ? 0 : Buffer.byteLength(key)) + value.length + headersBytes
    if (bytes > recordBytesMax)
      throw new RowmillError(
        'RECORD_TOO_LARGE',
        `maximum event size exceeded: a record of ${bytes} bytes is larger than the ${recordBytesMax} that the log accepts`,
      )
  }
}
