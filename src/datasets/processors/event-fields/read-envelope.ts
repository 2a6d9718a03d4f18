/** Reads what all messages of events look like: `[version, type, event, ...]`. */
import type { JsonScanner } from './json-scanner.ts'
import { type PyValue, readPyValue, type WantedKeys } from './python-value.ts'

export type Envelope = {
  /** Undefined if the message is no list of at least two. */
  version: PyValue | undefined
  type: PyValue | undefined
  /** Undefined if there is none. */
  event: PyValue | undefined
}

/** `wanted` are keys of the event. */
export function readEnvelope(scanner: JsonScanner, wanted: WantedKeys): Envelope {
  const none: Envelope = { version: undefined, type: undefined, event: undefined }
  if (scanner.kind() !== 'array') {
    scanner.skip()
    scanner.finish()
    return none
  }
  scanner.enterArray()
  const items: PyValue[] = []
  while (scanner.nextItem()) {
    if (items.length < 3) items.push(readPyValue(scanner, items.length === 2 ? wanted : undefined))
    else scanner.skip()
  }
  scanner.finish()
  const [version, type, event] = items
  return type === undefined ? none : { version, type, event }
}

/** All of each of these keys. */
export function allOf(keys: readonly string[]): WantedKeys {
  return new Map(keys.map((key) => [key, undefined]))
}
