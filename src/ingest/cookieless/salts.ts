import assert from 'node:assert/strict'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { CookielessConfig } from '../config.ts'
import { isDayAccepted } from './calendar.ts'
import { saltKey } from './identity.ts'

/**
 * A secret of 16 bytes for each calendar day, the same for every process. While it exists, ids of the day can
 * be computed from addresses; once it is gone, nobody can tell any more whose they were. It is durable,
 * or a restart would give every visitor a second id for the day, and it is forgotten here with its day.
 */
export interface Salts {
  /** Undefined for a day that cannot be any more, or not yet. Fails with `CACHE_UNAVAILABLE`. */
  saltOf(day: string): Promise<Buffer | undefined>
}

type Ports = { cache: Cache; clock: Clock; random: Random }
const saltBytes = 16

export function createSalts(ports: Ports, config: CookielessConfig): Salts {
  const known = new Map<string, Buffer>()
  const isAccepted = (day: string) => isDayAccepted(day, ports.clock.now(), config.lagMaxMs)
  return {
    async saltOf(day) {
      if (!isAccepted(day)) return undefined
      const salt = known.get(day) ?? (await fetchSalt(ports, config, day))
      for (const other of known.keys()) if (!isAccepted(other)) known.delete(other)
      known.set(day, salt)
      return salt
    },
  }
}

async function fetchSalt(ports: Ports, config: CookielessConfig, day: string): Promise<Buffer> {
  const key = saltKey(day)
  const stored = await ports.cache.get(key)
  if (stored !== undefined) return decodeSalt(stored)
  const fresh = ports.random.bytes(saltBytes)
  const isFirst = await ports.cache.set(key, fresh.toString('base64'), {
    ttlMs: config.saltTtlMs,
    keep: true,
    ifAbsent: true,
  })
  if (isFirst) return fresh
  return decodeSalt((await ports.cache.get(key)) ?? '')
}

function decodeSalt(text: string): Buffer {
  const salt = Buffer.from(text, 'base64')
  assert(salt.length === saltBytes, 'the cache holds something else than a salt under the key of a salt')
  return salt
}
