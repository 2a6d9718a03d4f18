import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { chdbConfigSchema } from './config.ts'
import { replySchema } from './host.ts'

const user = 'rowmill'
const password = 'secret'
const hostPath = fileURLToPath(new URL('./host.ts', import.meta.url))

/** Loaded before the host's own code: a message from its parent makes it fail as a bug would. */
const breakage = `data:text/javascript,${encodeURIComponent(
  `process.on('message', ({ kind }) => {
    if (kind === 'throw') throw new Error('broken on purpose')
    if (kind === 'reject') void Promise.reject(new Error('broken on purpose'))
  })`,
)}`

/** A host of its own with a table that holds rows; `run` sends it a statement. */
async function openHost(directory: string) {
  const child = spawn(process.execPath, ['--import', breakage, hostPath], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { TZ: 'UTC', UV_THREADPOOL_SIZE: '16' },
  })
  const exited = once(child, 'exit')
  assert(child.stdout !== null && child.stderr !== null)
  const printed = text(child.stderr)
  child.stdout.resume()
  child.send({
    kind: 'open',
    directory,
    database: 'rowmill',
    user,
    password,
    config: chdbConfigSchema.parse({}),
  })
  const [message] = await once(child, 'message')
  const reply = replySchema.parse(message)
  assert(reply.kind === 'ready')
  const run = async (statement: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${reply.port}/`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(`${user}:${password}`)}` },
      body: statement,
    })
    return answer.text()
  }
  return {
    child,
    exited,
    printed,
    run,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

for (const kind of ['throw', 'reject'])
  test(`a bug in the host (${kind}) is printed and ends it at once, and loses nothing acknowledged`, async () => {
    await using folder = await tempDir()
    {
      await using host = await openHost(folder.path)
      // With such a column in a part, an exit that leaves the engine open ends in a segmentation fault.
      await host.run(
        'CREATE TABLE things (id UInt64, seen AggregateFunction(count)) ENGINE = AggregatingMergeTree ORDER BY id',
      )
      await host.run(
        'INSERT INTO things SELECT number AS id, countState() FROM numbers(1000) GROUP BY number',
      )
      host.child.send({ kind })
      const [, signal] = await host.exited
      assert.match(await host.printed, /Error: broken on purpose/)
      assert.equal(signal, 'SIGKILL')
    }
    await using again = await openHost(folder.path)
    assert.equal(
      await again.run('SELECT count(), sum(id), countMerge(seen) FROM things'),
      '1000\t499500\t1000\n',
    )
  })
