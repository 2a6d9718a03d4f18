/** The guide's plugin is run by the guide's commands, and they print what the guide shows. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { describeTrial } from '../../src/cli/commands/plugin/plugin-text.ts'
import { readGuide } from '../support/guide.ts'
import { tempDir } from '../support/temp-dir.ts'

const page = 'docs/guides/plugins.md'
const program = fileURLToPath(new URL('../../bin/rowmill.mjs', import.meta.url))
const terminal = { out: () => {}, err: () => {}, isInteractive: true, hasColour: false, columns: 200 }

/** Times differ from run to run. */
const timeless = (shown: string) => shown.replaceAll(/\([\d.]+ ms of processor time, [\d.]+ ms\)/g, '(time)')

test("the guide's commands print what it shows", async () => {
  await using dir = await tempDir('rowmill-plugin-guide-')
  const markdown = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
  const blocks = (language: string) =>
    [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
      ([, block = '']) => block,
    )
  writeFileSync(join(dir.path, 'plan.ts'), blocks('ts').join(''))
  const printed: string[] = []
  for (const step of readGuide(page)) {
    assert.equal(step.kind, 'run')
    const script = step.script.replaceAll('npx rowmill', `'${process.execPath}' '${program}'`)
    const child = spawn('sh', ['-euc', script], {
      cwd: dir.path,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const closed = once(child, 'close')
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
    assert.deepEqual(await closed, [0, null], err)
    // Into a pipe it prints JSON; on a terminal, its lines.
    printed.push(timeless(describeTrial(terminal, JSON.parse(out))))
  }
  assert.deepEqual(printed, blocks('text').map(timeless))
})
