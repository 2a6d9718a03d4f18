/**
 * The program: hands the command line to `cli/`, turns signals into an abort, and lets the loop empty.
 * A second signal, or a stop that takes longer than its deadline, ends the process at once. Ctrl-C under npm,
 * and a stop by timeout(1), arrive twice within moments: that counts as one. So does a closed terminal, however
 * often it is told: ending at once would leave the engines running.
 */
import { runCli } from './cli/cli.ts'

const forcedExitMs = 30_000
const sameSignalMs = 500

export async function main(process: NodeJS.Process): Promise<void> {
  const stop = new AbortController()
  let stoppedAtMs = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) {
      if (signal !== 'SIGHUP' && performance.now() - stoppedAtMs > sameSignalMs) process.exit(130)
      return
    }
    stoppedAtMs = performance.now()
    stop.abort()
    setTimeout(() => process.exit(1), forcedExitMs).unref()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('SIGHUP', onSignal)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') stop.abort()
  })
  process.exitCode = await runCli({
    arguments: process.argv.slice(2),
    environment: process.env,
    signal: stop.signal,
    terminal: {
      out: (text) => process.stdout.write(text),
      err: (text) => process.stderr.write(text),
      isInteractive: process.stdout.isTTY === true,
      hasColour: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
      columns: process.stdout.columns ?? 100,
    },
  })
  process.removeListener('SIGINT', onSignal)
  process.removeListener('SIGTERM', onSignal)
  process.removeListener('SIGHUP', onSignal)
}
