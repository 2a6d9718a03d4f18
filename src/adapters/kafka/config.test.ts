import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KafkaConfig, kafkaConfig, kafkaContradictions } from './config.ts'

const pem = Buffer.from('-----BEGIN CERTIFICATE-----').toString('base64')

test('what is right is taken', () => {
  for (const hosts of ['kafka', 'kafka:9092', 'a:1,b:2, c:3', '127.0.0.1:9092', '[::1]:9092'])
    assert.equal(kafkaConfig.parse({ hosts }).hosts, hosts)
  assert.equal(kafkaConfig.parse({ saslMechanism: 'SCRAM-SHA-256' }).saslMechanism, 'scram-sha-256')
  assert.deepEqual(kafkaContradictions(kafkaConfig.parse({ hosts: 'kafka:9092' })), [])
})

test('what is wrong by itself is refused', () => {
  const wrong: Record<string, unknown>[] = [
    ...['', ',', 'kafka:', 'kafka:99999', 'http://kafka:9092', 'a b'].map((hosts) => ({ hosts })),
    ...['not base64', Buffer.from('no certificate').toString('base64')].map((trustedCert) => ({
      trustedCert,
    })),
    { topicPrefix: 'no spaces' },
    { instanceId: 'a/b' },
    { securityProtocol: 'TLS' },
    { saslMechanism: 'oauthbearer' },
    { replicationFactor: 0 },
    { compression: 'brotli' },
    { transactionsMax: 0 },
    { unknown: 1 },
  ]
  for (const settings of wrong)
    assert.equal(kafkaConfig.safeParse(settings).success, false, JSON.stringify(settings))
})

test('what is wrong together is told with the setting to change', () => {
  const cases: [settings: Record<string, unknown>, key: keyof KafkaConfig][] = [
    [{ clientCert: pem }, 'clientCertKey'],
    [{ clientCertKey: pem }, 'clientCert'],
    [{ securityProtocol: 'SASL_SSL', saslUser: 'u', saslPassword: 'p' }, 'saslMechanism'],
    [{ saslMechanism: 'plain', saslPassword: 'p' }, 'saslUser'],
    [{ saslMechanism: 'plain', saslUser: 'u' }, 'saslPassword'],
    [
      { securityProtocol: 'SSL', saslMechanism: 'plain', saslUser: 'u', saslPassword: 'p' },
      'securityProtocol',
    ],
    [{ securityProtocol: 'PLAINTEXT', trustedCert: pem }, 'securityProtocol'],
    [{ heartbeatIntervalMs: 20_000 }, 'heartbeatIntervalMs'],
    [{ retryDelayMs: 500, retryDelayMaxMs: 100 }, 'retryDelayMaxMs'],
  ]
  for (const [settings, key] of cases) {
    const found = kafkaContradictions(kafkaConfig.parse(settings))
    assert.deepEqual(
      found.map((each) => each.key),
      [key],
      JSON.stringify(settings),
    )
  }
})

test('secrets do not show', () => {
  const config = kafkaConfig.parse({ saslPassword: 'kafka-secret', clientCertKey: pem })
  const shown = JSON.stringify(config) + String(config.saslPassword)
  assert(!shown.includes('kafka-secret') && !shown.includes(pem))
})
