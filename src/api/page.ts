/** Lists come in pages, as PostHog's do: `next` and `previous` are URLs to ask, null at the ends. */
import { z } from 'zod'

export function pageQuery(pageSizeMax: number) {
  return {
    limit: z.coerce.number().int().min(1).max(pageSizeMax).default(Math.min(100, pageSizeMax)),
    offset: z.coerce.number().int().min(0).max(1_000_000_000).default(0),
  }
}

export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    next: z.string().nullable(),
    previous: z.string().nullable(),
    results: z.array(item),
  })
}

/** Cuts a page out of `limit + 1` rows: the one too many only tells that there is a next page. */
export function page<T>(
  rows: readonly T[],
  query: { limit: number; offset: number },
  url: URL,
): { next: string | null; previous: string | null; results: T[] } {
  const at = (offset: number): string => {
    const other = new URL(url)
    other.searchParams.set('limit', String(query.limit))
    other.searchParams.set('offset', String(offset))
    return other.toString()
  }
  return {
    next: rows.length > query.limit ? at(query.offset + query.limit) : null,
    previous: query.offset > 0 ? at(Math.max(0, query.offset - query.limit)) : null,
    results: rows.slice(0, query.limit),
  }
}
