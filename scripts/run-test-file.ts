/** Runs one test file in a process of its own, and ends it with everything that it started when it hangs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestLine } from './test-events.ts'

export type FileResult = {
  file: string
  seconds: number
  passed: number
  failed: number
  skips: { name: string; reason: string }[]
  /** What its tests said about themselves: seeds, figures. */
  notes: string[]
  /** What was printed and reported, for a file that failed. */
  report: string
}

const linesReporter = fileURLToPath(new URL('./test-events.ts', import.meta.url))

export async function runTestFile(
  file: string,
  options: { timeoutMs: number; environment: Readonly<Record<string, string>>; signal: AbortSignal },
): Promise<FileResult> {
  const folder = await mkdtemp(join(tmpdir(), 'rowmill-test-'))
  const [lines, report] = [join(folder, 'lines'), join(folder, 'report')]
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    [
      ...[`--test-reporter=${linesReporter}`, `--test-reporter-destination=${lines}`],
      ...['--test-reporter=spec', `--test-reporter-destination=${report}`],
      file,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      // Without the last, a run inside a test would report to that test's own runner.
      env: { ...process.env, ...options.environment, NO_COLOR: '1', NODE_TEST_CONTEXT: undefined },
    },
  )
  let printed = ''
  const keep = (chunk: Buffer): void => {
    printed = (printed + chunk.toString()).slice(-20_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const timeout = AbortSignal.timeout(options.timeoutMs)
  const stop = AbortSignal.any([timeout, options.signal])
  const end = (): void => killGroup(child.pid)
  stop.addEventListener('abort', end, { once: true })
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  stop.removeEventListener('abort', end)
  // What a crashed file leaves behind would disturb the next one.
  if (code !== 0) killGroup(child.pid)
  const result = judge(await readLines(lines), {
    ending:
      code === 0
        ? undefined
        : timeout.aborted
          ? `no end within ${options.timeoutMs} ms`
          : `${code ?? signal}`,
  })
  const text = [result.problem, printed.trim(), await readFile(report, 'utf8').catch(() => '')]
  await rm(folder, { recursive: true, force: true })
  return {
    file,
    seconds: (performance.now() - startedAt) / 1000,
    ...result.counts,
    report: result.counts.failed === 0 ? '' : text.filter((part) => part !== '').join('\n'),
  }
}

/** A file fails by its tests, by how it ended, and by having none. */
function judge(lines: readonly TestLine[], options: { ending: string | undefined }) {
  const count = (kind: TestLine['kind']): number => lines.filter((line) => line.kind === kind).length
  const skips = lines.flatMap(({ kind, name, reason = '' }) => (kind === 'skip' ? [{ name, reason }] : []))
  const running = lines.filter(({ kind }) => kind === 'begin').map(({ name }) => name)
  for (const { kind, name } of lines)
    if (kind === 'end' && running.includes(name)) running.splice(running.indexOf(name), 1)
  const notes = lines.flatMap(({ kind, name }) => (kind === 'note' ? [name] : []))
  const counts = { passed: count('pass'), failed: count('fail'), skips, notes }
  const isEmpty = counts.passed + counts.failed + skips.length === 0
  const isUnexplained = options.ending !== undefined && counts.failed === 0
  if (!isUnexplained && !isEmpty) return { counts, problem: '' }
  const still =
    running.length === 0
      ? 'no test was running: something was left open, or it broke outside a test'
      : `still running: ${running.join(' > ')}`
  const problem =
    options.ending === undefined
      ? 'The file has no tests.'
      : `The file ended badly (${options.ending}); ${still}.`
  return { counts: { ...counts, failed: counts.failed + 1 }, problem }
}

async function readLines(path: string): Promise<TestLine[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TestLine)
}

/** The child leads a group of its own, so that what it started goes with it. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
