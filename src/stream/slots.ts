/**
 * A bound on how many batches are in hand at once. Waiting is first come, first served, so that a busy
 * partition cannot starve the others.
 */
export interface Slots {
  /** Runs `work` while holding a slot; an abort while waiting resolves to `undefined` without running it. */
  hold<T>(work: () => Promise<T>, options: { signal: AbortSignal }): Promise<T | undefined>
}

/** `onChange` is told how many slots are held whenever that changes. */
export function createSlots(slotsMax: number, onChange?: (held: number) => void): Slots {
  let held = 0
  const waiting: (() => void)[] = []

  async function acquire(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    if (held < slotsMax) {
      held++
      onChange?.(held)
      return true
    }
    return new Promise((resolve) => {
      const grant = () => {
        signal.removeEventListener('abort', leave)
        resolve(true)
      }
      const leave = () => {
        waiting.splice(waiting.indexOf(grant), 1)
        resolve(false)
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.push(grant)
    })
  }

  /** A slot goes straight to the one that waits longest, so `held` does not change then. */
  function release(): void {
    const next = waiting.shift()
    if (next !== undefined) {
      next()
      return
    }
    held--
    onChange?.(held)
  }

  return {
    async hold(work, { signal }) {
      if (!(await acquire(signal))) return undefined
      try {
        return await work()
      } finally {
        release()
      }
    },
  }
}
