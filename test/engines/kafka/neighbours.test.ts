/** Kafka shared with programs that know nothing of us, and what transactions leave in a partition. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Admin, Producer } from '@platformatic/kafka'
import { commitOffsets, fetchStandings } from '../../../src/adapters/kafka/consume/standing.ts'
import { createNames } from '../../../src/adapters/kafka/names.ts'
import { Preparation } from '../../../src/adapters/kafka/produce/prepare.ts'
import { Transactor } from '../../../src/adapters/kafka/produce/transactor.ts'
import { Cluster } from '../../../src/adapters/kafka/wire/cluster.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { nextBatch, note, texts, textsOf, topic, withLease } from '../../../src/ports/log/harness.contract.ts'
import { openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { noKafka, openKafka, type TestKafka } from '../../support/engines/kafka.ts'

describe('Kafka shared with others', { skip: noKafka }, () => {
  let kafka: TestKafka
  before(async () => {
    kafka = await openKafka()
  })
  after(async () => {
    await kafka[Symbol.asyncDispose]()
  })

  const withCluster = async (
    opened: Awaited<ReturnType<typeof openKafkaTestLog>>,
    use: (cluster: Cluster) => Promise<void>,
  ) => {
    const [host = '', port] = kafka.address.split(':')
    await using cluster = new Cluster(opened.context, opened.config, [{ host, port: Number(port) }])
    await use(cluster)
  }

  test('positions of others are taken as they are, and their metadata for nothing', async () => {
    await using opened = await openKafkaTestLog(kafka.address)
    const { log, config } = opened
    await log.ensureTopics([topic('t', 1)])
    await log.append(['a', 'b', 'c'].map((text) => note('t', text)))
    const metadata = [
      'leader epoch 4',
      '',
      '{"rowmill":2,"intended":3}',
      '{"rowmill":1,"intended":"x","resets":-1}',
      '{"rowmill":',
    ]
    for (const [index, text] of metadata.entries())
      await withCluster(opened, async (cluster) => {
        const group = `${config.topicPrefix}g${index}`
        const nobody = { group, memberId: '', generation: -1, instanceId: null }
        const offsets = [{ topic: `${config.topicPrefix}t`, partition: 0, offset: 1, metadata: text }]
        await commitOffsets(cluster, nobody, { offsets, withinMs: 5000 })
        await withLease(log, { group: `g${index}`, topic: 't' }, async (lease) => {
          assert.deepEqual([lease.position, lease.intended, lease.resets], [1, undefined, 0])
          assert.deepEqual(textsOf(await nextBatch(lease)), ['b', 'c'])
        })
      })
  })

  test('a topic of others keeps its partitions and its settings', async () => {
    await using opened = await openKafkaTestLog(kafka.address)
    const { log, config } = opened
    const name = `${config.topicPrefix}theirs`
    const admin = new Admin({ clientId: 'others', bootstrapBrokers: [kafka.address] })
    await admin.createTopics({
      topics: [name],
      partitions: 5,
      replicas: 1,
      configs: [{ name: 'retention.ms', value: '7777777' }],
    })
    await admin.close()
    await log.ensureTopics([topic('theirs', 2, 1000)])
    const [described] = await log.describe()
    assert.deepEqual(
      [described?.name, described?.partitions, described?.retentionMs],
      ['theirs', 5, 7_777_777],
    )
  })

  test('partitions that others add are read', async () => {
    await using opened = await openKafkaTestLog(kafka.address, { metadataMaxAgeMs: 100 })
    await using other = await openKafkaTestLog(kafka.address, { topicPrefix: opened.config.topicPrefix })
    const { log } = opened
    await log.ensureTopics([topic('t', 1)])
    const stop = new AbortController()
    await using consumer = log.consume({
      group: 'g',
      topics: ['t'],
      start: 'earliest',
      signal: stop.signal,
    })
    const leases = consumer.leases()[Symbol.asyncIterator]()
    const first = await leases.next()
    assert.equal(first.value?.partition, 0)
    await other.log.ensureTopics([topic('t', 2)])
    await other.log.append([note('t', 'there', 1)])
    const second = await leases.next()
    assert.equal(second.value?.partition, 1)
    assert.deepEqual(textsOf(await nextBatch(second.value)), ['there'])
    await first.value[Symbol.asyncDispose]()
    await second.value[Symbol.asyncDispose]()
  })

  test('records of others are read, however they were packed', async () => {
    await using opened = await openKafkaTestLog(kafka.address)
    const { log, config } = opened
    await log.ensureTopics([topic('t', 1)])
    const others = new Producer({ clientId: 'others', bootstrapBrokers: [kafka.address] })
    const packings = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
    for (const compression of packings)
      await others.send({
        compression,
        messages: ['one', 'two'].map((text) => ({
          topic: `${config.topicPrefix}t`,
          value: Buffer.from(`${compression} ${text}`),
          headers: new Map([[Buffer.from('token'), Buffer.from('phc_ä')]]),
        })),
      })
    await others.close()
    const expected = packings.flatMap((packing) => [`${packing} one`, `${packing} two`])
    assert.deepEqual(await texts(log, 't', 0), expected)
    assert.equal((await log.read('t', 0, 9))?.headers.token, 'phc_ä')
  })

  test('what we pack is read back, however it is packed', async () => {
    for (const compression of ['gzip', 'snappy', 'lz4', 'zstd']) {
      await using opened = await openKafkaTestLog(kafka.address, { compression })
      await opened.log.ensureTopics([topic('t', 1)])
      const given = Array.from({ length: 50 }, (_, at) => note('t', `${compression} ${at}`))
      await opened.log.append(given)
      assert.deepEqual(
        await texts(opened.log, 't', 0),
        given.map(({ value }) => value.toString()),
      )
    }
  })

  test('a transaction that was given up is not read, and a batch ends at its intention behind it', async () => {
    await using opened = await openKafkaTestLog(kafka.address)
    const { log } = opened
    await log.ensureTopics([topic('t', 1), topic('u', 1)])
    await withLease(log, { group: 'feeder', topic: 'u' }, async (lease) => {
      await log.append([note('u', 'x'), note('u', 'y'), note('u', 'z')])
      await lease.commit({ offset: 1, records: [note('t', 'one')] })
      await lease.commit({ offset: 2, records: [note('t', 'two')] })
    })
    await abandonTransaction(opened, 'given up')
    // The partition ends with nothing but what transactions leave behind.
    assert.deepEqual(await texts(log, 't', 0), ['one', 'two'])
    const end = (await log.describe()).find(({ name }) => name === 't')?.bounds[0]?.end ?? 0
    assert(end > 4, 'there are offsets without records')
    await withLease(log, { group: 'g', topic: 't' }, (lease) => lease.intend(end))
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      assert.equal(lease.intended, end)
      const batch = await nextBatch(lease)
      assert.deepEqual([batch.from, batch.until, textsOf(batch)], [0, end, ['one', 'two']])
      await lease.commit({ offset: end })
      await log.append([note('t', 'three')])
      const next = await nextBatch(lease)
      assert.deepEqual([next.from, textsOf(next)], [end, ['three']])
    })
    assert.equal(await log.read('t', 0, 1), undefined)
  })

  /** Writes in a transaction that never ends, as a killed process leaves it, until its successor registers. */
  async function abandonTransaction(
    opened: Awaited<ReturnType<typeof openKafkaTestLog>>,
    text: string,
  ): Promise<void> {
    await withCluster(opened, async (cluster) => {
      const names = createNames(opened.config.topicPrefix)
      const preparation = new Preparation(cluster, names)
      const records = await preparation.prepare([note('t', text)], { sticky: new Map(), withinMs: 5000 })
      const id = `${opened.config.topicPrefix}abandoned`
      // A member that the group does not know: the records are written, the offsets refused.
      const member = {
        group: `${opened.config.topicPrefix}g`,
        memberId: 'nobody',
        generation: 3,
        instanceId: null,
      }
      const offsets = [{ topic: names.toWire('t'), partition: 0, offset: 1, metadata: '' }]
      const first = new Transactor(cluster, id, 'first')
      await assert.rejects(first.run({ member, offsets, records }), { code: 'ILLEGAL_GENERATION' })
      await new Transactor(cluster, id, 'second').register()
      await fetchStandings(cluster, member.group, { withinMs: 15_000 })
    })
  }

  test('a record that its topic does not accept is refused, and its neighbours are not', async () => {
    await using opened = await openKafkaTestLog(kafka.address, { recordBytesMax: 3_000_000 })
    const { log, config } = opened
    const admin = new Admin({ clientId: 'others', bootstrapBrokers: [kafka.address] })
    await admin.createTopics({ topics: [`${config.topicPrefix}small`], partitions: 1, replicas: 1 })
    await admin.close()
    await log.ensureTopics([topic('large', 1), topic('small', 1)])
    const large = 'x'.repeat(2_000_000)
    await log.append([note('large', large)])
    const both = await Promise.allSettled([
      log.append([note('small', 'before')]),
      log.append([note('small', large)]),
      log.append([note('small', 'after')]),
    ])
    assert.deepEqual(
      both.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert(both[1]?.status === 'rejected' && isRowmillError(both[1].reason, 'RECORD_TOO_LARGE'))
    assert.deepEqual(await texts(log, 'small', 0), ['before', 'after'])
    await withLease(log, { group: 'g', topic: 'small' }, async (lease) => {
      const commit = lease.commit({ offset: 1, records: [note('small', large)] })
      await assert.rejects(commit, (error) => isRowmillError(error, 'RECORD_TOO_LARGE'))
      assert.equal((await log.positions('g'))[0]?.position, 0)
      await lease.commit({ offset: 1, records: [note('small', 'copy')] })
    })
    assert.deepEqual(await texts(log, 'small', 0), ['before', 'after', 'copy'])
  })
})
