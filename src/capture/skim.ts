/**
 * Finds where things stand in JSON text that `JSON.parse` has accepted already, without parsing it again. An
 * event's properties go on as the text that the client sent: nothing has to be written anew, and numbers keep
 * digits that a JavaScript number would lose.
 *
 * The walk trusts the text's validity, never uses the call stack, and measures how deep the values are nested:
 * a member deeper than `nestingMax` is refused, as PostHog's parser does at 128 levels in all, because whoever
 * reads the event later may parse it recursively.
 */
import { RowmillError } from '../errors/rowmill-error.ts'

export const nestingMax = 124

/** The text of those members of an event object that capture passes on as they are. */
export type EventTexts = {
  properties: string | undefined
  set: string | undefined
  setOnce: string | undefined
  distinctId: string | undefined
}

const quoteCode = 34
const backslashCode = 92

/** Texts of the events of a payload, in their order. `member` names the array of a batch object. */
export function locateEvents(text: string, shape: 'array' | 'object', member?: string): EventTexts[] {
  const start = skipSpace(text, 0)
  let events: EventTexts[] = []
  if (shape === 'array') readEvents(text, start, events)
  else if (member === undefined) {
    const texts = noTexts()
    readEvent(text, start, texts)
    events.push(texts)
  } else
    walkMembers(text, start, (key, from) => {
      if (key !== member || text.charCodeAt(from) !== 91) return skipValue(text, from)
      // Of members with one name the last one counts.
      events = []
      return readEvents(text, from, events)
    })
  return events
}

function noTexts(): EventTexts {
  return { properties: undefined, set: undefined, setOnce: undefined, distinctId: undefined }
}

/** Reads an array; gives the place after it. */
function readEvents(text: string, start: number, events: EventTexts[]): number {
  let at = skipSpace(text, start + 1)
  while (text.charCodeAt(at) !== 93) {
    if (text.charCodeAt(at) === 44) at = skipSpace(text, at + 1)
    const texts = noTexts()
    at = skipSpace(text, readEvent(text, at, texts))
    events.push(texts)
  }
  return at + 1
}

function readEvent(text: string, start: number, texts: EventTexts): number {
  if (text.charCodeAt(start) !== 123) return skipValue(text, start)
  return walkMembers(text, start, (key, from) => {
    const until = skipValue(text, from)
    if (key === 'properties') texts.properties = text.slice(from, until)
    else if (key === '$set') texts.set = text.slice(from, until)
    else if (key === '$set_once') texts.setOnce = text.slice(from, until)
    else if (key === 'distinct_id') texts.distinctId = text.slice(from, until)
    else if (key === '$distinct_id') texts.distinctId ??= text.slice(from, until)
    return until
  })
}

/** Lets `read` read the value of each member, which gives the place after it; gives the place after the object. */
function walkMembers(text: string, start: number, read: (key: string, from: number) => number): number {
  let at = skipSpace(text, start + 1)
  while (text.charCodeAt(at) !== 125) {
    if (text.charCodeAt(at) === 44) at = skipSpace(text, at + 1)
    const keyEnd = skipString(text, at)
    let key = text.slice(at + 1, keyEnd - 1)
    // A name with escapes is longer than any that is looked for.
    if (key.length > 12 && key.includes('\\')) key = String(JSON.parse(`"${key}"`))
    at = skipSpace(text, read(key, skipSpace(text, skipSpace(text, keyEnd) + 1)))
  }
  return at + 1
}

/** The place after the value that begins at `start`. */
function skipValue(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === quoteCode) return skipString(text, start)
  if (first !== 123 && first !== 91) return skipScalar(text, start)
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quoteCode) at = skipString(text, at) - 1
    else if (code === 123 || code === 91) {
      if (++depth > nestingMax) throw tooDeep()
    } else if ((code === 125 || code === 93) && --depth === 0) return at + 1
  }
  return text.length
}

function skipString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quoteCode) return at + 1
    if (code === backslashCode) at++
  }
  return text.length
}

/** Numbers and the three words end before the next punctuation or space. */
function skipScalar(text: string, start: number): number {
  let at = start
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 44 || code === 125 || code === 93 || code <= 32) break
    at++
  }
  return at
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (text.charCodeAt(at) <= 32) at++
  return at
}

function tooDeep(): RowmillError {
  return new RowmillError('EVENT_INVALID', `failed to parse request: nested deeper than ${nestingMax} levels`)
}
