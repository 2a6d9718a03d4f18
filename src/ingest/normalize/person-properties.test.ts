import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Properties } from '../incoming-event.ts'
import { liftPersonProperties } from './person-properties.ts'

function lift(properties: Properties): Properties {
  liftPersonProperties(properties)
  return properties
}

test('page, device and campaign go to the person, now and as the first ones seen', () => {
  const { $set, $set_once } = lift({ $browser: 'Firefox', utm_source: 'letter', price: 3 })
  assert.deepEqual($set, { $browser: 'Firefox', utm_source: 'letter' })
  assert.deepEqual($set_once, { $initial_browser: 'Firefox', $initial_utm_source: 'letter' })
})

test('what the sender set himself stays', () => {
  const { $set, $set_once } = lift({
    $browser: 'Firefox',
    $set: { $browser: 'Lynx', name: 'Ann' },
    $set_once: { $initial_browser: 'Mosaic' },
  })
  assert.deepEqual($set, { $browser: 'Lynx', name: 'Ann' })
  assert.deepEqual($set_once, { $initial_browser: 'Mosaic' })
})

test('an event that tells nothing of its person sets nothing', () => {
  assert.deepEqual(lift({ price: 3 }), { price: 3 })
})

test('instructions that are no objects give way', () => {
  const { $set, $set_once } = lift({ $os: 'Linux', $set: 'x', $set_once: [1] })
  assert.deepEqual($set, { $os: 'Linux' })
  assert.deepEqual($set_once, { $initial_os: 'Linux' })
})

test('the name of the operating system stands in for it, but never that of a server', () => {
  assert.equal(lift({ $os_name: 'iOS' }).$os, 'iOS')
  const server = lift({
    $is_server: true,
    $os: 'Linux',
    $os_version: '6',
    $os_name: 'Debian',
    $app_name: 'api',
  })
  assert.deepEqual(server.$set, { $os_name: 'Debian', $app_name: 'api' })
  assert.equal(lift({ $is_server: true, $os_name: 'Debian' }).$os, undefined)
})
