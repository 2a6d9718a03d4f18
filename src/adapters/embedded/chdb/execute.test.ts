import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { waitFor } from '../../../../test/support/wait-for.ts'
import { createSystemClock } from '../clock.ts'
import type { Engine } from './engine.ts'
import { openFifoPool } from './fifo.ts'
import { createGate } from './gate.ts'
import { openServer } from './http/server.ts'
import { createSessions } from './http/sessions.ts'

const result = { bytes: new Uint8Array(), elapsed: 0, rowsRead: 0, bytesRead: 0 }

/** An engine whose OPTIMIZE ends when the test says so, and whose KILL fails. */
function stubbornEngine() {
  const optimized = Promise.withResolvers<void>()
  const counted = { optimizing: 0, kills: 0, open: 0 }
  const engine: Engine = {
    connect() {
      counted.open++
      return {
        async read(sql) {
          if (sql.startsWith('KILL')) {
            counted.kills++
            throw new Error('Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)')
          }
          if (sql.startsWith('OPTIMIZE')) {
            counted.optimizing++
            await optimized.promise
          }
          return result
        },
        write: () => Promise.reject(new Error('Nothing is written here.')),
        async [Symbol.asyncDispose]() {
          counted.open--
        },
      }
    },
    async [Symbol.asyncDispose]() {},
  }
  return { engine, counted, optimized }
}

test('a query whose killing fails keeps its connection until it ends, and the host lives on', async () => {
  await using folder = await tempDir()
  const { engine, counted, optimized } = stubbornEngine()
  const clock = createSystemClock()
  const credentials = { user: 'rowmill', password: 'secret' }
  await using sessions = createSessions({ engine, clock }, { database: 'd', sessionsMax: 1, settings: {} })
  await using server = await openServer(
    {
      engine,
      disk: {
        admit: async () => {},
        confirm: async () => {},
        explain: (found) => found,
        [Symbol.asyncDispose]: async () => {},
      },
      sessions,
      gate: createGate({ runningMax: 2, waitingMax: 0 }),
      fifos: await openFifoPool({ directory: folder.path, count: 2 }),
      spoolDirectory: folder.path,
      tableFunctions: new Set(),
      answer: { version: '26', timezone: 'UTC', clock, stallMs: 60_000 },
      queryBytesMax: 1024,
      bodyBytesMax: 1024,
      answerBufferBytes: 1024,
      running: new Set(),
    },
    { port: 0, credentials, format: 'TabSeparated' },
  )
  const ask = (query: string, signal?: AbortSignal) =>
    fetch(`http://127.0.0.1:${server.port}/`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa('rowmill:secret')}` },
      body: query,
      ...(signal === undefined ? {} : { signal }),
    })
  const leaving = new AbortController()
  const asked = assert.rejects(ask('OPTIMIZE TABLE t FINAL', leaving.signal), { name: 'AbortError' })
  await waitFor(() => counted.optimizing === 1, { what: 'the statement to run' })
  leaving.abort()
  await asked
  // An unheard failure would end this process here, as it would end the host.
  await waitFor(() => counted.kills === 1 && counted.open === 1, { what: 'the killing to fail' })
  assert.equal((await ask('SYSTEM FLUSH LOGS')).status, 200)
  assert.equal(counted.open, 1)
  optimized.resolve()
  await waitFor(() => counted.open === 0, { what: 'the connection to be closed' })
})
