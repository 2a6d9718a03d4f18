/**
 * Lists come in pages, as PostHog's do: `next` and `previous` are URLs to ask, null at the ends. The URLs
 * carry a cursor, the place of a row in the list's order, so that rows which arrive or go meanwhile neither
 * repeat nor hide others. `offset` skips rows from the start, as in PostHog.
 */
import { z } from 'zod'
import { invalidInput } from './problem.ts'
import { plainText } from './text.ts'

export function pageQuery(pageSizeMax: number) {
  return {
    limit: z.coerce.number().int().min(1).max(pageSizeMax).default(Math.min(100, pageSizeMax)),
    offset: z.coerce.number().int().min(0).max(1_000_000_000).default(0),
    cursor: plainText(2000).optional().meta({ description: 'A place in the list, from next or previous.' }),
  }
}

export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    next: z.string().nullable(),
    previous: z.string().nullable(),
    results: z.array(item),
  })
}

/** Where a page begins: after these values of the order's columns, read forwards or backwards. */
export type Place = { isBackward: boolean; after: readonly string[] }

const cursorSchema = z.strictObject({ b: z.boolean().optional(), k: z.array(z.string()) })

/** The place in a cursor, if there is one; `keys` checks the values of the order's columns. */
export function placeIn(cursor: string | undefined, keys: readonly z.ZodType<string>[]): Place | undefined {
  if (cursor === undefined) return undefined
  const parsed = cursorSchema.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString('utf8')))
  const isSound =
    parsed.success &&
    parsed.data.k.length === keys.length &&
    parsed.data.k.every((value, at) => keys[at]?.safeParse(value).success === true)
  if (!isSound) throw invalidInput('The cursor is not one that this list has given out.', 'cursor')
  return { isBackward: parsed.data.b === true, after: parsed.data.k }
}

export type PageFrame<T> = {
  query: { limit: number; offset: number }
  url: URL
  place: Place | undefined
  /** The values of the order's columns, as text. */
  keyOf: (row: T) => readonly string[]
}

/**
 * Cuts a page out of `limit + 1` rows, which are in the order they were read in; the one too many only tells
 * that there is more.
 */
export function page<T>(
  rows: readonly T[],
  frame: PageFrame<T>,
): { next: string | null; previous: string | null; results: T[] } {
  const { query, place } = frame
  const hasMore = rows.length > query.limit
  const cut = rows.slice(0, query.limit)
  const results = place?.isBackward === true ? cut.reverse() : cut
  const first = results[0]
  const last = results.at(-1)
  const isStart = place === undefined && query.offset === 0
  const canGoOn = place?.isBackward === true || hasMore
  const canGoBack = place?.isBackward === true ? hasMore : !isStart
  return {
    next: last !== undefined && canGoOn ? urlAt(frame, { k: frame.keyOf(last) }) : null,
    previous: first !== undefined && canGoBack ? urlAt(frame, { b: true, k: frame.keyOf(first) }) : null,
    results,
  }
}

function urlAt<T>({ url, query }: PageFrame<T>, cursor: { b?: true; k: readonly string[] }): string {
  const other = new URL(url)
  other.searchParams.delete('offset')
  // A key does not belong into answers.
  other.searchParams.delete('personal_api_key')
  other.searchParams.set('limit', String(query.limit))
  other.searchParams.set('cursor', Buffer.from(JSON.stringify(cursor)).toString('base64url'))
  return other.toString()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
