import { LRUCache } from 'lru-cache'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import { Problem } from '../problem.ts'
import { type ApiKey, findKey, hashKey } from './keys.ts'

/**
 * Who asks: `Authorization: Bearer phx_…`, or PostHog's older `?personal_api_key=`. Keys are remembered for
 * `keyCacheMs`, so that a busy client does not cost a statement per request.
 */
export function createAuthentication(
  ports: { database: Database; clock: Clock },
  config: { keyCacheMs: number },
): (headers: Readonly<Record<string, string | string[] | undefined>>, url: URL) => Promise<ApiKey> {
  const known = new LRUCache<string, { key: ApiKey; until: number }>({ max: 1000 })
  return async (headers, url) => {
    const value = keyIn(headers, url)
    if (value === undefined)
      throw new Problem(401, {
        type: 'authentication_error',
        code: 'not_authenticated',
        detail: 'Authentication credentials were not provided. Send "Authorization: Bearer phx_…".',
      })
    const hash = hashKey(value)
    const remembered = known.get(hash)
    if (remembered !== undefined && remembered.until > ports.clock.now()) return remembered.key
    const key = await findKey(ports.database, value)
    if (key === undefined) {
      known.delete(hash)
      throw new Problem(401, {
        type: 'authentication_error',
        code: 'authentication_failed',
        detail: 'Personal API key found in request is invalid. "rowmill keys create" makes a new one.',
      })
    }
    known.set(hash, { key, until: ports.clock.now() + config.keyCacheMs })
    return key
  }
}

function keyIn(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  url: URL,
): string | undefined {
  const header = headers.authorization
  const bearer = typeof header === 'string' ? /^\s*bearer\s+(\S+)\s*$/i.exec(header)?.[1] : undefined
  return bearer ?? url.searchParams.get('personal_api_key') ?? undefined
}
