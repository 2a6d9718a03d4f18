import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeMmdb } from '../../test/support/mmdb.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { isRowmillError } from '../errors/rowmill-error.ts'
import { geoipConfig } from './config.ts'
import { createGeoip, locateEvent, openGeoip } from './geoip.ts'
import type { Properties } from './incoming-event.ts'

const database = writeMmdb({
  '203.0.113.0/24': {
    city: { names: { en: 'Linköping', sv: 'Linköping' } },
    country: { iso_code: 'SE', names: { en: 'Sweden' } },
    continent: { code: 'EU', names: { en: 'Europe' } },
    postal: { code: '580 00' },
    location: { latitude: 58.41, longitude: 15.62, accuracy_radius: 20, time_zone: 'Europe/Stockholm' },
    subdivisions: [{ iso_code: 'E', names: { en: 'Östergötland County' } }],
  },
  '198.51.100.7/32': { country: { iso_code: 'NO', names: { en: 'Norway' } } },
})
const geoip = createGeoip(database, { cacheMax: 10 })

test('an address gives its place to the event and to the person', () => {
  const properties: Properties = { $ip: '203.0.113.7', $set: { plan: 'pro' } }
  locateEvent(properties, geoip)
  assert.equal(properties.$geoip_city_name, 'Linköping')
  assert.equal(properties.$geoip_country_code, 'SE')
  assert.equal(properties.$geoip_continent_code, 'EU')
  assert.equal(properties.$geoip_postal_code, '580 00')
  assert.equal(properties.$geoip_latitude, 58.41)
  assert.equal(properties.$geoip_accuracy_radius, 20)
  assert.equal(properties.$geoip_time_zone, 'Europe/Stockholm')
  assert.equal(properties.$geoip_subdivision_1_code, 'E')
  assert.equal(Object.hasOwn(properties, '$geoip_subdivision_2_code'), false)
  const { $set: set, $set_once: setOnce } = properties
  assert.deepEqual(
    { ...(set as object), ...(setOnce as object) },
    {
      plan: 'pro',
      ...personPlace('$geoip_'),
      ...personPlace('$initial_geoip_'),
    },
  )
})

test('a place that the database knows in part clears the other parts of the person', () => {
  const properties: Properties = { $ip: '198.51.100.7' }
  locateEvent(properties, geoip)
  assert.equal(properties.$geoip_country_name, 'Norway')
  assert.equal(Object.hasOwn(properties, '$geoip_city_name'), false)
  assert.equal((properties.$set as Properties).$geoip_city_name, null)
  assert.equal((properties.$set_once as Properties).$initial_geoip_country_name, 'Norway')
})

test('what is switched off, unknown or no address leaves the event as it is', () => {
  for (const given of [
    { $ip: '203.0.113.7', $geoip_disable: true },
    { $ip: '192.0.2.1' },
    { $ip: 'unknown' },
    { $ip: '2001:db8::1' },
    { $ip: 7 },
    {},
  ]) {
    const properties: Properties = { ...given }
    locateEvent(properties, geoip)
    assert.deepEqual(properties, given)
  }
})

test('the configured file is read, and a wrong one is refused with its name', async () => {
  await using directory = await tempDir('rowmill-geoip-')
  const file = join(directory.path, 'city.mmdb')
  await writeFile(file, database)
  const opened = await openGeoip(geoipConfig.parse({ file }))
  assert.equal(opened?.locate('203.0.113.9')?.city_name, 'Linköping')
  assert.equal(await openGeoip(geoipConfig.parse({})), undefined)
  await writeFile(file, 'no database')
  await assert.rejects(openGeoip(geoipConfig.parse({ file })), (error) =>
    isRowmillError(error, 'CONFIG_INVALID'),
  )
  const missing = join(directory.path, 'missing.mmdb')
  await assert.rejects(openGeoip(geoipConfig.parse({ file: missing })), /missing\.mmdb/)
})

function personPlace(prefix: string): Properties {
  const place = {
    city_name: 'Linköping',
    city_confidence: null,
    subdivision_2_name: null,
    subdivision_2_code: null,
    subdivision_1_name: 'Östergötland County',
    subdivision_1_code: 'E',
    country_name: 'Sweden',
    country_code: 'SE',
    continent_name: 'Europe',
    continent_code: 'EU',
    postal_code: '580 00',
    latitude: 58.41,
    longitude: 15.62,
    accuracy_radius: 20,
    time_zone: 'Europe/Stockholm',
  }
  return Object.fromEntries(Object.entries(place).map(([key, value]) => [prefix + key, value]))
}
