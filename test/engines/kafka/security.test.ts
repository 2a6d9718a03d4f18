/** TLS, client certificates and logins: what is right works, and what is wrong is told with its setting. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openKafkaLog } from '../../../src/adapters/kafka/log.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { kafkaContext, kafkaSettings, openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { type KafkaSecurity, noKafka, openKafka, type TestKafka } from '../../support/engines/kafka.ts'

describe('the ways into Kafka', { skip: noKafka }, () => {
  let kafka: TestKafka
  let security: KafkaSecurity
  before(async () => {
    kafka = await openKafka({ isSecured: true })
    assert(kafka.security !== undefined)
    security = kafka.security
  })
  after(async () => {
    await kafka[Symbol.asyncDispose]()
  })
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const trusted = () => ({ trustedCert: base64(security.authority) })
  const shown = () => ({ clientCert: base64(security.certificate), clientCertKey: base64(security.key) })
  const login = (saslMechanism: string, saslPassword = security.password) => ({
    saslMechanism,
    saslUser: security.user,
    saslPassword,
  })

  async function works(address: string, settings: Record<string, unknown>): Promise<void> {
    await using opened = await openKafkaTestLog(address, settings)
    await opened.log.ensureTopics([{ name: 't', partitions: 1, retentionMs: 1e9 }])
    const [position] = await opened.log.append([{ topic: 't', key: null, value: Buffer.from('x') }])
    assert.equal(position?.offset, 0)
  }

  async function isRefused(address: string, settings: Record<string, unknown>, names: RegExp): Promise<void> {
    const refused = openKafkaLog(kafkaContext(), kafkaSettings(address, settings))
    await assert.rejects(refused, (error) => {
      assert(isRowmillError(error, 'CONFIG_INVALID'), String(error))
      assert.match(error.message, names)
      assert(!error.message.includes(security.password))
      return true
    })
  }

  test('TLS with the authority of the brokers', () => works(security.tls, trusted()))
  test('TLS with an authority that nobody knows', () =>
    isRefused(security.tls, { isTls: true }, /trustedCert/))
  test('no TLS where there is some', () => isRefused(security.tls, {}, /securityProtocol/))
  test('TLS where there is none', () => isRefused(kafka.address, { isTls: true }, /securityProtocol/))
  test('a client certificate', () => works(security.mutualTls, { ...trusted(), ...shown() }))
  test('a client certificate that is missing', () => isRefused(security.mutualTls, trusted(), /clientCert/))
  for (const mechanism of ['plain', 'scram-sha-256', 'SCRAM-SHA-512']) {
    test(`a login by ${mechanism}`, () => works(security.sasl, login(mechanism)))
    test(`a login by ${mechanism} over TLS`, () =>
      works(security.saslTls, { ...trusted(), ...login(mechanism), securityProtocol: 'SASL_SSL' }))
    test(`a wrong password by ${mechanism}`, () =>
      isRefused(security.sasl, login(mechanism, 'wrong'), /saslPassword/))
  }
  test('nobody at the address', async () => {
    const nobody = openKafkaLog(kafkaContext(), kafkaSettings('127.0.0.1:1'))
    await assert.rejects(nobody, (error) => isRowmillError(error, 'LOG_UNAVAILABLE'))
  })
})
