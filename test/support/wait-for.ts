export type WaitOptions = {
  /** How long the condition may take on a loaded machine. Not a time that anything is measured by. */
  withinMs?: number
  /** What is waited for, for the message. */
  what?: string
}

/**
 * Asks `condition` again and again until it answers something other than `undefined`, `false` or `null`, and
 * answers that. An error of the last attempt is the cause of the failure.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const { withinMs = 15_000, what = 'the condition' } = options
  const deadline = performance.now() + withinMs
  let cause: unknown
  for (;;) {
    try {
      const answer = await condition()
      if (isMet(answer)) return answer
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() > deadline)
      throw new Error(`Waited ${withinMs} ms for ${what} in vain.`, cause === undefined ? {} : { cause })
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function isMet<T>(answer: T): answer is NonNullable<Exclude<T, false>> {
  return answer !== undefined && answer !== null && answer !== false
}
