/**
 * Fills Node's compile cache while the image is built, as the user who runs it. The program and the clients of outside
 * engines are loaded; where the embedded engines are installed, Rowmill is started once on an empty folder as well,
 * so that an image that cannot start is never finished.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const outside = [
  '@platformatic/kafka',
  'ioredis',
  'redis',
  '@aws-sdk/client-s3',
  '@aws-sdk/s3-request-presigner',
]

enableCompileCache(join(root, 'node_modules/.cache/rowmill'))
await import('../../src/main.ts')
for (const path of globSync('src/adapters/{kafka,redis,s3}/**/*.ts', { cwd: root }))
  await import(join(root, path))
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
for (const name of outside.filter((one) => dependencies[one] !== undefined)) await import(name)
if (existsSync(join(root, 'node_modules/@chdb'))) await startOnce()

async function startOnce() {
  const folder = await mkdtemp(join(tmpdir(), 'rowmill-warm-'))
  const program = spawn(process.execPath, [join(root, 'bin/rowmill.mjs'), 'serve'], {
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: '0',
      ROWMILL_DATA_DIR: folder,
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(program, 'exit')
  for await (const line of createInterface({ input: program.stdout }))
    if (line.startsWith('Rowmill is ready')) program.kill('SIGTERM')
  const [code, signal] = await ended
  await rm(folder, { recursive: true, force: true })
  if (code !== 0)
    throw new Error(`Rowmill did not start and stop in the image: it ended with ${code ?? signal}.`)
}
