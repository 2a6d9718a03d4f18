/**
 * Brings the events of one request onto the log together. Only where one of them is too large for a record
 * they are tried in halves, so that this one alone is lost and said to be.
 */
import { isRowmillError, type RowmillError } from '../../errors/rowmill-error.ts'
import type { CapturedEvent, RoutedEvent } from '../captured-event.ts'
import type { Dropped, Sink } from '../sink.ts'

export type Published = {
  /** Dropped, with a written reason, because a record cannot hold them. */
  tooLarge: readonly CapturedEvent[]
  /** Not on the log, for this reason. */
  unpersisted: readonly { event: CapturedEvent; error: RowmillError }[]
}

/** Throws only what the sink cannot be blamed for with an event: bugs, and drops that could not be written. */
export async function publishApart(
  sink: Sink,
  routed: readonly RoutedEvent[],
  dropped: readonly Dropped[],
): Promise<Published> {
  try {
    await sink.publish(routed, dropped)
    return { tooLarge: [], unpersisted: [] }
  } catch (error) {
    const [only, ...others] = routed
    if (!isRowmillError(error) || only === undefined) throw error
    if (error.code !== 'RECORD_TOO_LARGE')
      return { tooLarge: [], unpersisted: routed.map(({ event }) => ({ event, error })) }
    if (others.length === 0) {
      const tooLarge = {
        event: only.event,
        reason: 'invalid_event',
        details: { details: 'event_too_big' },
      } as const
      await sink.publish([], [...dropped, tooLarge])
      return { tooLarge: [only.event], unpersisted: [] }
    }
    const half = Math.ceil(routed.length / 2)
    const first = await publishApart(sink, routed.slice(0, half), dropped)
    const second = await publishApart(sink, routed.slice(half), [])
    return mergePublished(first, second)
  }
}

export function mergePublished(first: Published, second: Published): Published {
  return {
    tooLarge: [...first.tooLarge, ...second.tooLarge],
    unpersisted: [...first.unpersisted, ...second.unpersisted],
  }
}
