import { randomBytes } from 'node:crypto'
import type { Random } from '../../ports/random.ts'

/** Chance from the runtime, bytes from the operating system's generator. */
export function createSystemRandom(): Random {
  return { next: () => Math.random(), bytes: (length) => randomBytes(length) }
}
