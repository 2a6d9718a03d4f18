/**
 * The program: hands the command line to `cli/`, turns signals into an abort, and lets the loop empty.
 * A second signal, or a stop that takes longer than its deadline, ends the process at once.
 */
import { runCli } from './cli/cli.ts'

const forcedExitMs = 30_000

export async function main(process: NodeJS.Process): Promise<void> {
  const stop = new AbortController()
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130)
    stop.abort()
    setTimeout(() => process.exit(1), forcedExitMs).unref()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
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
}
