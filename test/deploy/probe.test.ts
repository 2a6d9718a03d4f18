/** What the health checks of images run. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../deploy/docker/probe.mjs', import.meta.url))

async function probe(path: string, environment: Record<string, string>) {
  const child = spawn(process.execPath, [script, path], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, said: Buffer.concat(chunks).toString() }
}

test('the probe ends with 0 for 200 alone, and says what was answered instead', async () => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/_liveness' ? 200 : 503
    response.end('{"ready":false,"engines":{"log":"full"}}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const PORT = String(address.port)
  try {
    const [alive, unready, linked] = await Promise.all([
      probe('/_liveness', { PORT }),
      probe('/_readiness', { PORT }),
      probe('/_liveness', { PORT, ROWMILL_PORT: 'tcp://10.0.0.1:8000' }),
    ])
    assert.deepEqual(alive, { code: 0, said: '' })
    assert.equal(unready.code, 1)
    assert.match(unready.said, /^503 .*"log":"full"/)
    assert.equal(linked.code, 0)
  } finally {
    server.close()
  }
  await once(server, 'close')
  assert.equal((await probe('/_liveness', { PORT })).code, 1)
})
