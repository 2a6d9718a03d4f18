import { type ConnectionOptions, SASLMechanisms } from '@platformatic/kafka'
import type { KafkaConfig } from '../config.ts'

/** TLS and the login as the settings say; empty for plain connections. */
export function securityOf(config: KafkaConfig): Pick<ConnectionOptions, 'tls' | 'sasl'> {
  const options: Pick<ConnectionOptions, 'tls' | 'sasl'> = {}
  if (speaksTls(config)) {
    options.tls = tlsOf(config)
  }
  const { saslMechanism, saslUser, saslPassword } = config
  if (saslMechanism !== undefined && saslUser !== undefined && saslPassword !== undefined)
    options.sasl = {
      mechanism: mechanisms[saslMechanism],
      username: saslUser,
      password: saslPassword.reveal(),
    }
  return options
}

const mechanisms = {
  plain: SASLMechanisms.PLAIN,
  'scram-sha-256': SASLMechanisms.SCRAM_SHA_256,
  'scram-sha-512': SASLMechanisms.SCRAM_SHA_512,
} as const

export function speaksTls(config: KafkaConfig): boolean {
  const { securityProtocol, isTls, trustedCert, clientCert } = config
  if (securityProtocol !== undefined) return securityProtocol.endsWith('SSL')
  return isTls || trustedCert !== undefined || clientCert !== undefined
}

function tlsOf({ trustedCert, clientCert, clientCertKey, isHostnameChecked }: KafkaConfig) {
  return {
    ...(trustedCert === undefined ? {} : { ca: pemOf(trustedCert.reveal()) }),
    ...(clientCert === undefined ? {} : { cert: pemOf(clientCert.reveal()) }),
    ...(clientCertKey === undefined ? {} : { key: pemOf(clientCertKey.reveal()) }),
    ...(isHostnameChecked ? {} : { checkServerIdentity: () => undefined }),
  }
}

function pemOf(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8')
}
