/** Consumers in processes of their own that are killed, frozen, started and stopped while load runs. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import type { Log } from '../../../src/ports/log.ts'
import type { Told } from '../../support/engines/kafka/consumer-process.ts'
import { openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { noKafka, openKafka, type TestKafka } from '../../support/engines/kafka.ts'
import { waitFor } from '../../support/wait-for.ts'

const program = new URL('../../support/engines/kafka/consumer-process.ts', import.meta.url)
const patient = { withinMs: 60_000 }

describe('processes that consume from Kafka', { skip: noKafka }, () => {
  let kafka: TestKafka
  before(async () => {
    kafka = await openKafka()
  })
  after(async () => {
    await kafka[Symbol.asyncDispose]()
  })

  test('after a kill between intending and settling exactly that range is read again', async () => {
    await using opened = await openTopics(kafka.address, 1)
    await appendSerials(opened.log, { partitions: 1, from: 0, count: 30 })
    const settings = { sessionTimeoutMs: 1000, heartbeatIntervalMs: 200 }
    const first = startProcess(kafka.address, opened.config.topicPrefix, { doing: 'hang', settings })
    const intended = await waitFor(() => first.told.find(({ did }) => did === 'intended'), patient)
    await first.kill('SIGKILL')
    await using second = startProcess(kafka.address, opened.config.topicPrefix, { settings })
    await waitFor(async () => (await settledOf(opened.log)) === 30, patient)
    const leased = second.told.find(({ did }) => did === 'leased')
    assert.deepEqual([leased?.from, leased?.until], [intended.from, intended.until])
    const settled = second.told.find(({ did }) => did === 'settled')
    assert.deepEqual([settled?.from, settled?.until], [intended.from, intended.until])
    assert.deepEqual(await serialsOf(opened.log, 'out', 1), serials(30))
  })

  test('a consumer that was frozen while others took over settles nothing any more', async () => {
    await using opened = await openTopics(kafka.address, 1)
    const settings = { sessionTimeoutMs: 1500, heartbeatIntervalMs: 200, transactionTimeoutMs: 1000 }
    await using frozen = startProcess(kafka.address, opened.config.topicPrefix, { settings })
    await appendSerials(opened.log, { partitions: 1, from: 0, count: 10 })
    await waitFor(async () => (await settledOf(opened.log)) === 10, patient)
    // Whatever it has in hand stays there.
    const appending = appendSerials(opened.log, { partitions: 1, from: 10, count: 200 })
    await waitFor(() => frozen.told.filter(({ did }) => did === 'settled').length > 3, patient)
    frozen.process.kill('SIGSTOP')
    await appending
    await using second = startProcess(kafka.address, opened.config.topicPrefix, { settings })
    await waitFor(() => second.told.some(({ did }) => did === 'settled'), patient)
    frozen.process.kill('SIGCONT')
    await waitFor(async () => (await settledOf(opened.log)) === 210, patient)
    await waitFor(() => frozen.told.some(({ did }) => did === 'released' || did === 'LEASE_LOST'), patient)
    assert.deepEqual(await serialsOf(opened.log, 'out', 1), serials(210))
  })

  test('two, then three, then one share the work, and every record is settled by one of them', async () => {
    const partitions = 6
    await using opened = await openTopics(kafka.address, partitions)
    const { topicPrefix } = opened.config
    const settings = { sessionTimeoutMs: 2000, heartbeatIntervalMs: 200, transactionTimeoutMs: 1000 }
    const start = () => startProcess(kafka.address, topicPrefix, { settings })
    const load = startLoad(opened.log, partitions)
    await using one = start()
    await using two = start()
    await waitFor(() => [one, two].every((each) => each.holds() === 3), patient)
    await using three = start()
    await waitFor(() => [one, two, three].every((each) => each.holds() === 2), patient)
    two.process.send('stop')
    await three.kill('SIGKILL')
    await waitFor(() => one.holds() === partitions, patient)
    const count = await load.stop()
    await waitFor(async () => (await settledOf(opened.log)) === count, patient)
    assert.deepEqual(await serialsOf(opened.log, 'out', partitions), serials(count))
  })

  test('a consumer with a name of its own that restarts gets its partitions back without a round', async () => {
    await using opened = await openTopics(kafka.address, 4)
    const { topicPrefix } = opened.config
    const named = (instanceId: string) =>
      startProcess(kafka.address, topicPrefix, { settings: { instanceId, sessionTimeoutMs: 20_000 } })
    await using one = named('one')
    await using two = named('two')
    await waitFor(() => one.holds() === 2 && two.holds() === 2, patient)
    const before = one.places()
    const saidBefore = two.told.length
    await one.kill('SIGKILL')
    await using again = named('one')
    await waitFor(() => again.holds() === 2, patient)
    assert.deepEqual(again.places(), before)
    assert.equal(two.told.length, saidBefore, 'the other one has noticed nothing')
  })
})

async function openTopics(address: string, partitions: number) {
  const opened = await openKafkaTestLog(address)
  const retentionMs = 1e9
  await opened.log.ensureTopics([
    { name: 't', partitions, retentionMs },
    { name: 'out', partitions, retentionMs },
  ])
  return opened
}

type ProcessOptions = { doing?: 'copy' | 'hang'; settings: Record<string, unknown> }

function startProcess(address: string, prefix: string, { doing = 'copy', settings }: ProcessOptions) {
  const child: ChildProcess = fork(program, [address, prefix, doing, JSON.stringify(settings)])
  const told: Told[] = []
  child.on('message', (message: Told) => told.push(message))
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  const heldNow = () => {
    const held = new Set<number>()
    for (const { did, partition } of told)
      if (did === 'leased') held.add(partition)
      else if (did === 'released') held.delete(partition)
    return held
  }
  return {
    process: child,
    told,
    kill,
    holds: () => heldNow().size,
    places: () => [...heldNow()].toSorted(),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGCONT')
      await kill()
    },
  }
}

function startLoad(log: Log, partitions: number) {
  let count = 0
  let isOver = false
  const running = (async () => {
    while (!isOver) {
      await appendSerials(log, { partitions, from: count, count: 25 })
      count += 25
      // As fast as they are, so that the end does not wait for a backlog.
      await waitFor(async () => isOver || (await settledOf(log)) > count - 100, patient)
    }
    return count
  })()
  return {
    stop() {
      isOver = true
      return running
    },
  }
}

async function appendSerials(
  log: Log,
  { partitions, from, count }: { partitions: number; from: number; count: number },
): Promise<void> {
  const records = Array.from({ length: count }, (_, index) => ({
    topic: 't',
    partition: (from + index) % partitions,
    key: null,
    value: Buffer.from(String(from + index)),
  }))
  await log.append(records)
}

function serials(count: number): number[] {
  return Array.from({ length: count }, (_, serial) => serial)
}

async function settledOf(log: Log): Promise<number> {
  const positions = await log.positions('g')
  return positions.reduce((sum, { position }) => sum + position, 0)
}

async function serialsOf(log: Log, topic: string, partitions: number): Promise<number[]> {
  const found: number[] = []
  for (let partition = 0; partition < partitions; partition++)
    for await (const records of log.scan({ topic, partition, from: 0 }))
      for (const { value } of records) found.push(Number(value.toString()))
  return found.toSorted((a, b) => a - b)
}
