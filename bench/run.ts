/** `npm run bench`: lists the benches; with names, runs them one after another. Each prints one line of JSON. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'

const names = globSync('bench/*.ts', { cwd: new URL('../', import.meta.url) })
  .map((path) => path.replace(/^bench\//, '').replace(/\.ts$/, ''))
  .filter((name) => name !== 'run')
  .sort()
const wanted = process.argv.slice(2)
if (wanted.length === 0)
  process.stdout.write(`npm run bench -- <name> …\n${names.map((name) => `  ${name}\n`).join('')}`)
for (const name of wanted) {
  if (!names.includes(name)) {
    process.stderr.write(`There is no bench ${name}.\n`)
    process.exitCode = 1
    break
  }
  const [code] = await once(spawn('node', [`bench/${name}.ts`], { stdio: 'inherit' }), 'exit')
  if (code !== 0) {
    process.exitCode = 1
    break
  }
}
