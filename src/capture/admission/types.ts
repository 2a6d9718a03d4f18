import type { DropReason } from '../../event/drop.ts'
import type { CapturedEvent, RoutedEvent } from '../captured-event.ts'

/** Which pipeline's quota and restrictions apply to a request. */
export type AdmissionPipeline = 'analytics' | 'session_recordings' | 'ai' | 'errortracking'

export type Admitted = {
  accepted: RoutedEvent[]
  dropped: { event: CapturedEvent; reason: DropReason; details?: Record<string, unknown> }[]
  /** Accepted events whose person processing a limit has switched off: v1 answers them with `warning`. */
  limited: ReadonlySet<CapturedEvent>
  /** Resources over their quota that took events away, as the SDKs know them: `recordings`, … */
  quotaLimited: readonly string[]
}

/**
 * Decides, in the order of PostHog's capture, what happens to decoded events: quota, token dropper,
 * restrictions, global rate limit, historical rerouting, overflow, address. Answers at once, from state that
 * is refreshed in the background; where that state cannot be had, it lets everything pass.
 */
export interface Admission extends AsyncDisposable {
  admit(events: readonly CapturedEvent[], pipeline: AdmissionPipeline): Admitted
}
