/** The guide is followed as it stands, from an empty folder to rows. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type GuideStep, readGuide } from '../support/guide.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const program = fileURLToPath(new URL('../../bin/rowmill.mjs', import.meta.url))
const shownPort = '8077'
const port = String(20_000 + ((process.pid + 7) % 20_000))

test('the guide "write a dataset" leads from an empty folder to rows', async () => {
  await using dir = await tempDir('rowmill-guide-')
  const checkout = join(dir.path, 'rowmill')
  mkdirSync(checkout)
  // PostgreSQL's own user must be able to pass through, where the tests run as root.
  chmodSync(dir.path, 0o711)
  await using background = new AsyncDisposableStack()
  const steps = readGuide('docs/guides/write-a-dataset.md')
  assert(steps.filter(({ kind }) => kind === 'edit').length >= 4)
  for (const step of steps) {
    if (step.kind === 'edit') edit(checkout, step)
    else if (step.kind === 'background') background.use(await keepRunning(checkout, step.script))
    else if (step.kind === 'run') await run(checkout, step.script)
    else
      await waitFor(async () => (await run(checkout, step.script)).includes(step.text), {
        withinMs: 60_000,
        what: `${step.script} to say ${step.text}`,
      })
  }
})

function edit(folder: string, { file, how, line, text }: GuideStep & { kind: 'edit' }): void {
  const path = join(folder, file)
  const lines = readFileSync(path, 'utf8').split('\n')
  const at = lines.findIndex((candidate) => candidate.includes(line))
  assert.notEqual(at, -1, `${file} has no line with ${line}`)
  lines.splice(how === 'after' ? at + 1 : at, how === 'after' ? 0 : 1, text.replace(/\n$/, ''))
  writeFileSync(path, lines.join('\n'))
}

function start(folder: string, script: string): { child: ChildProcess; printed: () => string } {
  const here = script
    .replaceAll('npx rowmill', `'${process.execPath}' '${program}'`)
    .replaceAll(shownPort, port)
  const child = spawn(
    'sh',
    ['-euc', here.startsWith("'") && !here.trim().includes('\n') ? `exec ${here}` : here],
    {
      cwd: folder,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
  return { child, printed: () => text }
}

async function run(folder: string, script: string): Promise<string> {
  const { child, printed } = start(folder, script)
  const [code] = (await once(child, 'close')) as [number | null]
  assert.equal(code, 0, `${script}\n${printed()}`)
  return printed()
}

async function keepRunning(folder: string, script: string): Promise<AsyncDisposable> {
  const { child, printed } = start(folder, script)
  const outcome = await waitFor(
    async () => {
      if (child.exitCode !== null) return 'ended'
      return (await fetch(`http://127.0.0.1:${port}/_readiness`)).ok && 'ready'
    },
    { withinMs: 60_000, what: 'the consumer to be ready' },
  )
  assert.equal(outcome, 'ready', printed())
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      await closed
    },
  }
}
