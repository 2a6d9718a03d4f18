/** The server drains while many clients send: what was answered with 200 is on the log, and nobody waits for ever. */
import assert from 'node:assert/strict'
import { Agent, request as httpRequest } from 'node:http'
import { test } from 'node:test'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { createCapture } from '../../src/capture/capture.ts'
import { captureConfigSchema } from '../../src/capture/config.ts'
import { topics } from '../../src/event/topics.ts'
import { httpConfigSchema } from '../../src/http/config.ts'
import { openHttpServer } from '../../src/http/http.ts'
import { openTestLog } from '../support/embedded-log.ts'
import { quietTelemetry } from '../support/quiet.ts'
import { waitFor } from '../support/wait-for.ts'
import { admitAll } from './capture-fixture.ts'

const partitions = 2
const clients = 40

type Status = number | 'broken'

function post(url: string, body: string, agent: Agent): Promise<Status> {
  return new Promise((resolve) => {
    const request = httpRequest(`${url}/batch`, { method: 'POST', agent }, (response) => {
      response.on('error', () => resolve('broken'))
      response.on('end', () => resolve(response.statusCode ?? 'broken'))
      response.resume()
    })
    request.on('error', () => resolve('broken'))
    request.end(body)
  })
}

test('a drain under load answers everybody and loses nothing that it has accepted', async () => {
  await using store = await openTestLog()
  const { log, deps } = store
  await log.ensureTopics([{ name: topics.captured, partitions, retentionMs: 3_600_000 }])
  const ground = { ...quietTelemetry(), clock: deps.clock }
  const ports = { ...ground, log, admission: admitAll, random: createSystemRandom() }
  const settings = { ...captureConfigSchema.parse({}), aiLanePredicate: 'allowlist' as const }
  const options = { ...httpConfigSchema.parse({}), host: '127.0.0.1', port: 0 }
  await using server = await openHttpServer(ground, options, createCapture(ports, settings).routes)
  const { url } = server.address
  const agent = new Agent({ keepAlive: true })
  const accepted = new Set<string>()
  const statuses = new Map<Status, number>()

  const runClient = async () => {
    for (;;) {
      const batch = Array.from({ length: 5 }, (_, index) => ({
        uuid: crypto.randomUUID(),
        event: 'sent',
        distinct_id: `user-${index}`,
        properties: {},
      }))
      const status = await post(url, JSON.stringify({ api_key: 'phc_drain', batch }), agent)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 'broken') return
      if (status === 200) for (const { uuid } of batch) accepted.add(uuid)
    }
  }
  const running = Promise.all(Array.from({ length: clients }, runClient))
  await waitFor(() => accepted.size > 500)
  await server.drain(AbortSignal.timeout(30_000))
  // Nobody is left who waits for an answer: all of them have found the door closed.
  await running
  agent.destroy()
  assert.deepEqual(
    [...statuses.keys()].filter((status) => status !== 200 && status !== 'broken'),
    [],
  )
  assert.equal(statuses.get('broken'), clients)

  const found = new Set<string>()
  for (let partition = 0; partition < partitions; partition++)
    for await (const records of log.scan({ topic: topics.captured, partition, from: 0 }))
      for (const { value } of records) found.add(JSON.parse(value.toString()).uuid)
  assert.deepEqual(
    [...accepted].filter((uuid) => !found.has(uuid)),
    [],
  )
})
