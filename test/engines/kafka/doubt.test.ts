/** A commit whose answer is lost: made again as it was, it happens once. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Consumer } from '../../../src/adapters/kafka/consume/consumer.ts'
import { createNames } from '../../../src/adapters/kafka/names.ts'
import { Preparation } from '../../../src/adapters/kafka/produce/prepare.ts'
import { Transactions } from '../../../src/adapters/kafka/produce/transactions.ts'
import { InDoubt } from '../../../src/adapters/kafka/produce/transactor.ts'
import { Cluster } from '../../../src/adapters/kafka/wire/cluster.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { note, take, texts, topic } from '../../../src/ports/log/harness.contract.ts'
import { openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { noKafka, openKafka, type TestKafka } from '../../support/engines/kafka.ts'

describe('a commit on Kafka whose answer is lost', { skip: noKafka }, () => {
  let kafka: TestKafka
  before(async () => {
    kafka = await openKafka()
  })
  after(async () => {
    await kafka[Symbol.asyncDispose]()
  })

  for (const hasHappened of [true, false])
    test(`is made again and happens once, ${hasHappened ? 'having' : 'not having'} happened before`, async () => {
      await using opened = await openKafkaTestLog(kafka.address)
      const { log, context, config } = opened
      await log.ensureTopics([topic('t', 1), topic('out', 1)])
      await log.append(['a', 'b', 'c'].map((text) => note('t', text)))
      const [host = '', port] = kafka.address.split(':')
      await using cluster = new Cluster(context, config, [{ host, port: Number(port) }])
      const names = createNames(config.topicPrefix)
      await using transactions = new Transactions(cluster, `${config.topicPrefix}doubt`)
      let losses = 0
      const lossy: Pick<Transactions, 'run'> = {
        async run(transaction) {
          const isLost = losses++ % 2 === 0
          if (!isLost || hasHappened) await transactions.run(transaction)
          if (isLost) throw new InDoubt('Simulated: no answer.')
        },
      }
      const preparation = new Preparation(cluster, names)
      const stop = new AbortController()
      await using consumer = new Consumer(
        { cluster, names, preparation, transactions: lossy, lane: 'doubt' },
        { group: 'g', topics: ['t'], start: 'earliest', signal: stop.signal },
      )
      const [lease] = await take(consumer.leases(), 1)
      assert(lease !== undefined)
      // The second one settles nothing further, and has records all the same.
      for (const [offset, text] of [
        [2, 'first'],
        [2, 'second'],
        [3, 'third'],
      ] as const) {
        const commit = { offset, records: [note('out', text)] }
        await assert.rejects(lease.commit(commit), (error) => isRowmillError(error, 'LOG_UNAVAILABLE'))
        await lease.commit(commit)
        // Whoever has answered at once does not lose the next answer.
        if (hasHappened) losses = 0
      }
      await lease[Symbol.asyncDispose]()
      assert.deepEqual(await texts(log, 'out', 0), ['first', 'second', 'third'])
      assert.equal((await log.positions('g'))[0]?.position, 3)
    })
})
