/** The broker goes away under load, in several ways, and nothing that was acknowledged is lost or doubled. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { noKafka, openKafka, type TestKafka } from '../../support/engines/kafka.ts'
import { waitFor } from '../../support/wait-for.ts'
import { copyAll, isCopied, patient, serials, serialsOf, startLoad } from './copying.ts'

const partitions = 3

describe('Kafka away', { skip: noKafka }, () => {
  let kafka: TestKafka
  before(async () => {
    kafka = await openKafka({ isOwn: true })
  })
  after(async () => {
    await kafka[Symbol.asyncDispose]()
  })

  test('appends outlast a broker that freezes and one that is killed, each once', async () => {
    await using opened = await openKafkaTestLog(kafka.address, {
      requestTimeoutMs: 1000,
      appendTimeoutMs: 60_000,
    })
    const { log } = opened
    await log.ensureTopics([{ name: 't', partitions, retentionMs: 1e9 }])
    const load = startLoad(log)
    await waitFor(() => load.acknowledged.length > 200)
    kafka.pause()
    await waitFor(
      async () => (await opened.context.metrics.render()).includes('code="DISCONNECTED"'),
      patient,
    )
    kafka.resume()
    const afterFreeze = load.acknowledged.length
    await waitFor(() => load.acknowledged.length > afterFreeze + 200, patient)
    await kafka.stop('SIGKILL')
    const afterKill = load.acknowledged.length
    await kafka.start()
    await waitFor(() => load.acknowledged.length > afterKill + 200, patient)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.deepEqual(await serialsOf(log, 't', partitions), serials(load.acknowledged.length))
  })

  test('an append fails within its time when nobody answers, and the next ones work', async () => {
    await using opened = await openKafkaTestLog(kafka.address, {
      requestTimeoutMs: 500,
      appendTimeoutMs: 1500,
    })
    const { log } = opened
    await log.ensureTopics([{ name: 't', partitions, retentionMs: 1e9 }])
    const record = { topic: 't', key: null, value: Buffer.from('-1') }
    await log.append([record])
    kafka.pause()
    const refused = await Promise.allSettled([log.append([record]), log.append([record])])
    kafka.resume()
    for (const result of refused) {
      assert.equal(result.status, 'rejected')
      assert(isRowmillError(result.reason, 'LOG_UNAVAILABLE'))
    }
    await waitFor(() => log.append([record]), patient)
  })

  test('a consumer waits while the broker restarts, and settles everything once', async () => {
    await using opened = await openKafkaTestLog(kafka.address, {
      requestTimeoutMs: 1000,
      appendTimeoutMs: 2000,
      transactionTimeoutMs: 5000,
    })
    const { log } = opened
    await log.ensureTopics([
      { name: 't', partitions, retentionMs: 1e9 },
      { name: 'out', partitions, retentionMs: 1e9 },
    ])
    const stop = new AbortController()
    const consuming = copyAll(log, stop.signal)
    const total = 900
    const appendAll = async () => {
      for (let serial = 0; serial < total; serial++) {
        const record = {
          topic: 't',
          partition: serial % partitions,
          key: null,
          value: Buffer.from(`${serial}`),
        }
        await retryAppend(() => log.append([record]))
        if (serial === 300) {
          kafka.pause()
          setTimeout(() => kafka.resume(), 1500)
        }
        if (serial === 600) {
          await kafka.stop('SIGKILL')
          await kafka.start()
        }
      }
    }
    await appendAll()
    await waitFor(() => isCopied(log), { ...patient, what: 'everything to be settled' })
    stop.abort()
    await consuming
    // What was appended twice, because an acknowledgement was lost, was also copied twice.
    const copied = await serialsOf(log, 'out', partitions)
    assert.deepEqual(copied, await serialsOf(log, 't', partitions))
    assert.equal(new Set(copied).size, total)
  })
})

async function retryAppend(append: () => Promise<unknown>): Promise<void> {
  await waitFor(async () => {
    await append()
    return true
  }, patient)
}
