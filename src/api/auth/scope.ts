import { Problem } from '../problem.ts'
import type { ApiKey } from './keys.ts'

/** Refuses a key that is limited to some projects what concerns all of them. */
export function requireUnscoped(key: ApiKey, what: string): void {
  if (key.projects === null) return
  throw new Problem(403, {
    type: 'authentication_error',
    code: 'permission_denied',
    detail: `This key is limited to some projects, so it cannot ${what}.`,
  })
}
