import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientIp, type TrustProxy } from './client-ip.ts'

const ip = (remoteAddress: string, headers: Record<string, string>, trust: TrustProxy) =>
  clientIp({ remoteAddress, headers }, trust)

test('the leftmost forwarded address counts where the peer is trusted', () => {
  const forwarded = { 'x-forwarded-for': ' 203.0.113.7 , 10.0.0.1' }
  assert.equal(ip('127.0.0.1', forwarded, 'loopback'), '203.0.113.7')
  assert.equal(ip('::ffff:127.0.0.1', forwarded, 'loopback'), '203.0.113.7')
  assert.equal(ip('198.51.100.1', forwarded, 'loopback'), '198.51.100.1')
  assert.equal(ip('198.51.100.1', forwarded, 'always'), '203.0.113.7')
  assert.equal(ip('127.0.0.1', forwarded, 'never'), '127.0.0.1')
})

test('what is no address is passed over, ports are cut off, and X-Real-IP comes second', () => {
  assert.equal(ip('::1', { 'x-forwarded-for': 'unknown, 203.0.113.7:4711' }, 'loopback'), '203.0.113.7')
  assert.equal(ip('::1', { 'x-forwarded-for': '[2001:db8::1]:80' }, 'loopback'), '2001:db8::1')
  assert.equal(
    ip('::1', { 'x-forwarded-for': 'nobody', 'x-real-ip': '203.0.113.8' }, 'loopback'),
    '203.0.113.8',
  )
  assert.equal(ip('::ffff:198.51.100.1', {}, 'loopback'), '198.51.100.1')
})
