import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodeSession,
  deviceIdOf,
  distinctIdOf,
  encodeSession,
  identifiesKey,
  saltKey,
  sessionKey,
  sessionUuid,
  type Visitor,
  visitorHash,
} from './identity.ts'

const salt = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
const visitor: Visitor = {
  teamId: 7,
  ip: '192.0.2.1',
  rootDomain: 'rowmill.org',
  userAgent: 'Testbrowser/1.0',
  extra: '',
}

/** Made with this code after it had agreed with all of PostHog's own vectors. */
const vectors: readonly [Partial<Visitor>, number, string][] = [
  [{}, 0, 'QZozSb4ZYPyVeO+A65NdxQ=='],
  [{}, 1, 'lldC4KxH4TgMEIj72MaVrQ=='],
  [{}, -1, 'hhCBUZv04kssYS3UxgcYhA=='],
  [{ teamId: 8 }, 0, '/OhRDBIaSUH4ZatfNDK8Ww=='],
  [{ ip: '2001:db8::1' }, 0, 'GfttVSyfflpAJdPFLL5Z4Q=='],
  [{ rootDomain: '127.0.0.1:5173' }, 0, 'RUeArXo4R5J6apRPIE8YnQ=='],
  [{ userAgent: 'Ünïcode ✓' }, 0, 'olLWxKZX7nytsU8czxCQ9A=='],
  [{ extra: 'tenant-4' }, 0, '/yWBY1SAsY7ijra0gjJEIw=='],
]

test('hashes are those that PostHog computes', () => {
  for (const [change, identifies, expected] of vectors)
    assert.equal(visitorHash(salt, { ...visitor, ...change }, identifies).toString('base64'), expected)
})

test('only the first hundred characters of the extra count', () => {
  const extra = 'x'.repeat(100)
  const short = visitorHash(salt, { ...visitor, extra }, 0)
  assert.deepEqual(visitorHash(salt, { ...visitor, extra: `${extra}y` }, 0), short)
  assert.notDeepEqual(visitorHash(salt, { ...visitor, extra: `${extra.slice(1)}y` }, 0), short)
})

test('ids and keys are named as PostHog names them, without padding', () => {
  const hash = Buffer.alloc(16, 1)
  assert.equal(distinctIdOf(hash), 'cookieless_AQEBAQEBAQEBAQEBAQEBAQ')
  assert.equal(deviceIdOf(hash), 'cookielessd_AQEBAQEBAQEBAQEBAQEBAQ')
  assert.equal(identifiesKey(hash, 5), 'cklsi:5:AQEBAQEBAQEBAQEBAQEBAQ')
  assert.equal(sessionKey(hash, 5), 'cklss:5:AQEBAQEBAQEBAQEBAQEBAQ')
  assert.equal(saltKey('2026-01-02'), 'cookieless_salt:2026-01-02')
})

test('a session id is a version 7 UUID of its time and bytes', () => {
  const timeMs = Date.UTC(2026, 0, 2)
  const id = sessionUuid(timeMs, Buffer.alloc(10, 0xff))
  assert.equal(
    id,
    `${timeMs
      .toString(16)
      .padStart(12, '0')
      .replace(/^(.{8})/, '$1-')}-7fff-bfff-ffffffffffff`,
  )
  assert.equal(sessionUuid(-5, Buffer.alloc(10)), '00000000-0000-7000-8000-000000000000')
})

test('a session survives its text form, and other text is none', () => {
  const session = {
    id: sessionUuid(1_700_000_000_000, Buffer.alloc(10, 5)),
    lastActivityMs: 1_700_000_000_123,
  }
  assert.deepEqual(decodeSession(encodeSession(session)), session)
  assert.equal(Buffer.from(encodeSession(session), 'base64').length, 24)
  for (const text of ['', '1', 'cookieless', 'AAAA']) assert.equal(decodeSession(text), undefined)
})
