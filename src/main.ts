/**
 * The program: hands the command line to `cli/`, turns signals into aborts, and lets the loop empty.
 *
 * The first signal stops gently: what is in hand is finished. The second abandons it, the engines still stop in
 * order. The third ends the process at once, and so does a stop that takes much longer than it may. Ctrl-C under
 * npm, and a stop by timeout(1), arrive twice within moments: that counts as one. A closed terminal counts once,
 * however often it is told: ending at once would leave the engines running.
 */
import { runCli } from './cli/cli.ts'

/** What the engines may take to stop after all else has. */
const forcedExitMs = 30_000
const sameSignalMs = 500

export async function main(process: NodeJS.Process): Promise<void> {
  const stop = new AbortController()
  const abandon = new AbortController()
  let heardAtMs = 0
  let stopMs = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    const isFirst = !stop.signal.aborted
    if (!isFirst && (signal === 'SIGHUP' || performance.now() - heardAtMs <= sameSignalMs)) return
    heardAtMs = performance.now()
    if (abandon.signal.aborted) process.exit(130)
    if (!isFirst) abandon.abort()
    stop.abort()
    if (isFirst) setTimeout(() => process.exit(1), stopMs + forcedExitMs).unref()
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
    abandon: abandon.signal,
    onStopLimit: (ms) => {
      stopMs = ms
    },
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
