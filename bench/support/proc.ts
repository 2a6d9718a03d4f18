/** What Linux knows of processes: CPU time, memory, connections. A process that has ended counts for nothing. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** The kernel counts CPU time in hundredths of a second everywhere where Node runs. */
const ticksPerSecond = 100

/** Processes whose command line holds the text. */
export function pidsWith(text: string): number[] {
  return allPids().filter(
    (pid) =>
      pid !== process.pid && attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)),
  )
}

/** The processes and everything below them. */
export function familyOf(pids: readonly number[]): number[] {
  const parents = new Map(allPids().map((pid) => [pid, Number(statOf(pid)?.[1] ?? 0)]))
  const family = new Set(pids)
  for (let grew = true; grew; ) {
    grew = false
    for (const [pid, parent] of parents)
      if (family.has(parent) && !family.has(pid)) {
        family.add(pid)
        grew = true
      }
  }
  return [...family]
}

/** CPU time of the processes so far, with that of children that have ended. */
export function cpuSecondsOf(pids: readonly number[]): number {
  const ticks = pids.flatMap((pid) => statOf(pid)?.slice(11, 15) ?? [])
  return ticks.reduce((sum, value) => sum + Number(value), 0) / ticksPerSecond
}

/** Largest resident size so far, in MB. */
export function peakMegabytesOf(pid: number): number {
  const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8')) || ''
  return Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024)
}

/** Open connections of a process to a port. */
export function connectionsOf(pid: number, port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const sockets = new Set(
    (attempt(() => readdirSync(`/proc/${pid}/fd`)) || []).flatMap((name) => {
      const target = attempt(() => readlinkSync(`/proc/${pid}/fd/${name}`)) || ''
      return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []
    }),
  )
  const table = ['tcp', 'tcp6'].map((name) => attempt(() => readFileSync(`/proc/net/${name}`, 'utf8')) || '')
  return table
    .join('\n')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote, state, , , , , , inode]) => {
      return remote?.endsWith(`:${hex}`) === true && state === '01' && sockets.has(inode ?? '')
    }).length
}

function allPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger)
}

/** The fields of `stat` from the state on: parent at 1, CPU times from 11 to 14. */
function statOf(pid: number): string[] | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  if (stat === false) return undefined
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** False where the process has ended meanwhile. */
function attempt<T>(read: () => T): T | false {
  try {
    return read()
  } catch {
    return false
  }
}
