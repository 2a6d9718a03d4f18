/** Two brokers, of which one dies, comes back and freezes: leaders and coordinators move, and the work goes on. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { noKafka, openKafkaCluster } from '../../support/engines/kafka.ts'
import { waitFor } from '../../support/wait-for.ts'
import { copyAll, isCopied, patient, serials, serialsOf, startLoad } from './copying.ts'

const partitions = 4

describe('two brokers', { skip: noKafka }, () => {
  test('every record is there once and copied once, whichever broker is away', async () => {
    await using cluster = await openKafkaCluster()
    await using opened = await openKafkaTestLog(cluster.hosts, {
      replicationFactor: 2,
      requestTimeoutMs: 1000,
      appendTimeoutMs: 60_000,
    })
    const { log } = opened
    await log.ensureTopics(['t', 'out'].map((name) => ({ name, partitions, retentionMs: 1e9 })))
    const load = startLoad(log)
    const stop = new AbortController()
    const copying = copyAll(log, stop.signal)
    const progress = async (what: string) => {
      const before = load.acknowledged.length
      const copiedBefore = (await log.positions('copier')).reduce((sum, { position }) => sum + position, 0)
      const isGoingOn = async () => {
        const positions = await log.positions('copier')
        const copied = positions.reduce((sum, { position }) => sum + position, 0)
        return load.acknowledged.length > before + 100 && copied > copiedBefore + 100
      }
      await waitFor(isGoingOn, { ...patient, what })
    }
    await progress('the start')
    await cluster.second.stop('SIGKILL')
    await progress('work on one broker')
    await cluster.second.start()
    await progress('work on both')
    cluster.second.signal('SIGSTOP')
    await progress('work while the other one is frozen')
    cluster.second.signal('SIGCONT')
    await progress('work on both again')
    await load.stop()
    await waitFor(() => isCopied(log), { ...patient, what: 'everything to be copied' })
    stop.abort()
    await copying
    assert.deepEqual(load.failures, [])
    const all = serials(load.acknowledged.length)
    assert.deepEqual(await serialsOf(log, 't', partitions), all)
    assert.deepEqual(await serialsOf(log, 'out', partitions), all)
  })
})
