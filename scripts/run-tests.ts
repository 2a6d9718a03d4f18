/**
 * Runs test files side by side and says for each how it went; at the end what was skipped and why, which files
 * were slowest, what failed, and alone on the last line how many tests passed, failed and were skipped.
 */
import { type FileResult, runTestFile } from './run-test-file.ts'

/** The longest file, which kills the program again and again, stays well below on a loaded machine. */
const fileTimeoutMs = 300_000
const slowestShown = 8

/** Sets the exit code when a test failed or none ran. */
export async function runTests(
  files: readonly string[],
  options: {
    concurrency: number
    environment?: Readonly<Record<string, string>>
    timeoutMs?: number
    signal: AbortSignal
  },
): Promise<void> {
  const { environment = {}, timeoutMs = fileTimeoutMs, signal } = options
  const results: FileResult[] = []
  const waiting = [...files]
  const run = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined && !signal.aborted; file = waiting.shift()) {
      const result = await runTestFile(file, { timeoutMs, environment, signal })
      results.push(result)
      process.stdout.write(
        `${[lineOf(result), ...result.notes.map(indent), indent(result.report)].join('\n').trimEnd()}\n`,
      )
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, run))
  process.stdout.write(`\n${slowest(results)}${skipped(results)}${failing(results)}`)
  const sum = (of: (result: FileResult) => number): number => results.reduce((all, one) => all + of(one), 0)
  const [passed, failed] = [sum((result) => result.passed), sum((result) => result.failed)]
  if (signal.aborted) process.stdout.write('It was stopped before its end.\n')
  process.stdout.write(`${passed} passed, ${failed} failed, ${sum(({ skips }) => skips.length)} skipped\n`)
  if (failed > 0 || passed === 0 || signal.aborted) process.exitCode = 1
}

function lineOf({ file, seconds, passed, failed, skips }: FileResult): string {
  const counts = [
    failed > 0 ? `${failed} FAILED` : '',
    passed > 0 ? `${passed} passed` : '',
    skips.length > 0 ? `${skips.length} SKIPPED` : '',
  ]
  return `${failed > 0 ? 'not ok' : 'ok    '} ${seconds.toFixed(1).padStart(6)} s  ${file}: ${counts.filter((text) => text !== '').join(', ')}`
}

function slowest(results: readonly FileResult[]): string {
  const lines = results
    .toSorted((left, right) => right.seconds - left.seconds)
    .slice(0, slowestShown)
    .map(({ file, seconds }) => `  ${seconds.toFixed(1).padStart(6)} s  ${file}\n`)
  return `Slowest files:\n${lines.join('')}\n`
}

function skipped(results: readonly FileResult[]): string {
  const lines = results.flatMap(({ file, skips }) =>
    skips.map(
      ({ name, reason }) => `!!   ${file}: ${name}: ${reason === 'true' ? 'without a reason' : reason}\n`,
    ),
  )
  return lines.length === 0 ? '' : `!! NOT TESTED, ${lines.length} skipped:\n${lines.join('')}\n`
}

function failing(results: readonly FileResult[]): string {
  const lines = results.filter(({ failed }) => failed > 0).map((result) => `  ${lineOf(result)}\n`)
  return lines.length === 0 ? '' : `Failed:\n${lines.join('')}\n`
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}
