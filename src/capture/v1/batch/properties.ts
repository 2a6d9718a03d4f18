/**
 * Adds what a v1 request says outside of `properties` to them, without touching what the client wrote: the
 * additions stand at the end, so that they win wherever JSON is read with the last key winning.
 */
import type { V1Options } from './options.ts'

export type Injections = {
  sessionId: string | undefined
  windowId: string | undefined
  options: V1Options
  sdk: { lib: string; version: string } | undefined
}

/** `raw` is the JSON text of an object. */
export function injectProperties(raw: string, injections: Injections): string {
  const { options, sdk } = injections
  const added = [
    member('$session_id', injections.sessionId),
    member('$window_id', injections.windowId),
    member('$cookieless_mode', options.cookielessMode),
    member('$ignore_sent_at', options.disableSkewCorrection),
    member('$product_tour_id', options.productTourId),
    member('$process_person_profile', options.processPersonProfile),
    member('$lib', sdk?.lib),
    member('$lib_version', sdk?.version),
  ].join('')
  if (added === '') return raw
  const body = raw.slice(0, -1)
  const isEmpty = body.slice(1).trim() === ''
  return `${body}${isEmpty ? added.slice(1) : added}}`
}

function member(key: string, value: string | boolean | undefined): string {
  return value === undefined ? '' : `,"${key}":${JSON.stringify(value)}`
}
