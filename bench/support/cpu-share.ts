/**
 * Holds each process to a share of a core by freezing it for moments. So it can be seen what a second process adds
 * on a machine with few cores: engines and load keep what they need.
 */
import { cpuSecondsOf } from './proc.ts'

const stepMs = 40

/** `share` 0 lets them run. Resolve with the returned function to let go. */
export function holdToShare(pids: readonly number[], share: number): () => void {
  if (share === 0) return () => undefined
  const held = pids.map((pid) => ({
    pid,
    usedAt: cpuSecondsOf([pid]),
    since: performance.now(),
    isFrozen: false,
  }))
  const timer = setInterval(() => {
    for (const one of held) {
      const allowed = ((performance.now() - one.since) / 1000) * share
      const isOver = cpuSecondsOf([one.pid]) - one.usedAt > allowed
      if (isOver !== one.isFrozen) send(one.pid, isOver ? 'SIGSTOP' : 'SIGCONT')
      one.isFrozen = isOver
    }
  }, stepMs)
  return () => {
    clearInterval(timer)
    for (const { pid } of held) send(pid, 'SIGCONT')
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
