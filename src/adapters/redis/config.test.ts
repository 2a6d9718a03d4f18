import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redisConfig, redisContradictions } from './config.ts'

const contradictions = (settings: Record<string, unknown>) => redisContradictions(redisConfig.parse(settings))
const url = 'redis://localhost:6379'

test('addresses that are none of Redis are refused', () => {
  for (const wrong of [
    'localhost',
    'http://localhost',
    'redis://',
    'redis://h:99999',
    'redis://h/x',
    'redis://h?db=1',
  ])
    assert.equal(redisConfig.safeParse({ url: wrong }).success, false, wrong)
  for (const right of [url, 'rediss://user:p%40ss@redis.example/15', 'redis://[::1]:6379', 'redis://h/'])
    assert.equal(redisConfig.safeParse({ url: right }).success, true, right)
})

test('settings that fit have no contradiction', () => {
  assert.deepEqual(contradictions({}), [])
  assert.deepEqual(contradictions({ url }), [])
  assert.deepEqual(contradictions({ url, isCluster: true, clusterHosts: ['b:6379', '[::1]:1'] }), [])
  assert.deepEqual(contradictions({ url: 'rediss://h', tlsCertFile: 'a', tlsKeyFile: 'b' }), [])
})

test('each contradiction has a sentence that names what to set', () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ isCluster: true }, /REDIS_CLUSTER.*set redis\.url/],
    [{ clusterHosts: ['a:1'] }, /REDIS_CLUSTER_HOSTS.*set redis\.url/],
    [{ username: 'a' }, /REDIS_USERNAME.*set redis\.url/],
    [{ url: 'redis://a:b@h', username: 'c' }, /both name a user/],
    [{ url: 'redis://a:b@h', password: 'c' }, /both hold a password/],
    [{ url: 'redis://h/2', isCluster: true }, /database 2.*only database 0/],
    [{ url, clusterHosts: ['a:1'] }, /set redis\.isCluster to true/],
    [{ url, tlsCaFile: 'ca' }, /begin with rediss:\/\//],
    [{ url: 'rediss://h', tlsKeyFile: 'k' }, /belong together/],
    [{ url, reconnectDelayMs: 500, reconnectDelayMaxMs: 100 }, /redis\.reconnectDelayMaxMs \(100\) is below/],
  ]
  for (const [settings, sentence] of wrong) assert.match(contradictions(settings).join(' '), sentence)
})

test('the address and the password do not show themselves', () => {
  const config = redisConfig.parse({ url: 'redis://h', password: 'secret' })
  assert.equal(JSON.stringify([config.url, config.password]), '["***","***"]')
})
