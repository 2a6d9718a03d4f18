/** The log's contract on a real Kafka. */
import { after, before, describe } from 'node:test'
import { exerciseLog } from '../../../src/ports/log.contract.ts'
import { openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { noKafka, openKafka, type TestKafka } from '../../support/engines/kafka.ts'

describe('the log on Kafka', { skip: noKafka }, () => {
  let kafka: TestKafka
  before(async () => {
    kafka = await openKafka()
  })
  after(async () => {
    await kafka[Symbol.asyncDispose]()
  })
  exerciseLog('the log on Kafka', () => openKafkaTestLog(kafka.address))
})
