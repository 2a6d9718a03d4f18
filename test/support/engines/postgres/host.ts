/** One process of PostgreSQL's kind: started, waited for, paused, stopped, gone with the test's process. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Owner } from '../../../../src/adapters/embedded/postgres/owner.ts'
import { waitFor } from '../../wait-for.ts'

export type PostgresHost = AsyncDisposable & {
  start(): Promise<void>
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  pause(): void
  resume(): void
}

const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path))

export function createPostgresHost(options: {
  command: string
  args: readonly string[]
  owner: Owner | undefined
  isUp: () => Promise<boolean>
}): PostgresHost {
  const { command, args, owner, isUp } = options
  let child: ChildProcess | undefined
  const signal = (name: NodeJS.Signals) => void child?.kill(name)
  const stop = async (mode: 'fast' | 'immediate' = 'fast'): Promise<void> => {
    const stopped = child
    child = undefined
    if (stopped === undefined || stopped.exitCode !== null || stopped.signalCode !== null) return
    const ended = new Promise((resolve) => stopped.once('exit', resolve))
    stopped.kill('SIGCONT')
    stopped.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await ended
  }
  return {
    stop,
    async start() {
      assert(child === undefined)
      const started = spawnWithParent(command, args, owner)
      let printed = ''
      const keep = (chunk: Buffer): void => {
        printed = (printed + chunk.toString()).slice(-5000)
      }
      started.stdout?.on('data', keep)
      started.stderr?.on('data', keep)
      started.on('error', (error) => keep(Buffer.from(String(error))))
      child = started
      const hasEnded = () => started.exitCode !== null || started.pid === undefined
      const what = `${command} to be up`
      await waitFor(async () => hasEnded() || (await isUp()), { withinMs: 60_000, what })
      if (hasEnded()) throw new Error(`${command} ended with ${started.exitCode}: ${printed}`)
    },
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    [Symbol.asyncDispose]: () => stop('immediate'),
  }
}

/** A child that ends when this process does, as another user where this one is root. */
function spawnWithParent(command: string, args: readonly string[], owner: Owner | undefined): ChildProcess {
  const options = { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] }
  if (setpriv === undefined) return spawn(command, [...args], { ...options, ...owner })
  const user =
    owner === undefined ? [] : ['--reuid', String(owner.uid), '--regid', String(owner.gid), '--clear-groups']
  return spawn(setpriv, [...user, '--pdeathsig', 'QUIT', '--', command, ...args], options)
}
