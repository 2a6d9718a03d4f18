/**
 * Time comes in from outside, so that tests own it. Nothing on the data path reads the machine's clock
 * or sets a timer itself.
 */
export interface Clock {
  /** Wall time in ms since the epoch. May step backwards when the machine's clock is corrected. */
  now(): number
  /** Time in ms since an arbitrary start. Never steps backwards. Use it for durations. */
  monotonic(): number
  /**
   * Resolves after `ms`. An aborted `signal` ends the wait early and resolves too: an abort is not an
   * error, the caller looks at its signal.
   */
  sleep(ms: number, options?: { signal?: AbortSignal | undefined }): Promise<void>
}
