/** One channel tells of everything: a prefix, then a queue's name or a job's id. */
export const wakeChannel = 'rowmill_jobs'
/** Jobs of a queue have become available. */
export const wakePrefix = 'q:'
/** Somebody asks to cancel a running job. */
export const cancelPrefix = 'c:'

export type Wake = { kind: 'queue'; queue: string } | { kind: 'cancel'; id: string }

export function wakeOf(payload: string): Wake | undefined {
  if (payload.startsWith(wakePrefix)) return { kind: 'queue', queue: payload.slice(wakePrefix.length) }
  if (payload.startsWith(cancelPrefix)) return { kind: 'cancel', id: payload.slice(cancelPrefix.length) }
  return undefined
}
