/** GeoIP in the running program: from a file that the settings name to the rows, and files that are no database. */
import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeMmdb } from '../support/mmdb.ts'
import { startRowmill } from '../support/rowmill.ts'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { tempDir } from '../support/temp-dir.ts'

const database = writeMmdb({
  '203.0.113.0/24': {
    city: { names: { en: 'Linköping' } },
    country: { iso_code: 'SE', names: { en: 'Sweden' } },
    location: { latitude: 58.41, longitude: 15.62, time_zone: 'Europe/Stockholm' },
  },
})

test('the place of an address is on the event and on its person', async () => {
  await using dir = await tempDir('rowmill-geoip-')
  const file = join(dir.path, 'city.mmdb')
  await writeFile(file, database)
  await using rowmill = await startRowmill({ settings: { 'ingest.geoip.file': file } })
  const post = async (distinctId: string, properties: Record<string, unknown>): Promise<string> => {
    const uuid = crypto.randomUUID()
    const answer = await fetch(`${rowmill.url}/i/v0/e/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        api_key: rowmill.token,
        event: 'seen',
        distinct_id: distinctId,
        uuid,
        properties,
      }),
    })
    assert.equal(answer.status, 200)
    return uuid
  }
  const known = await post('ada', { $ip: '203.0.113.7' })
  const unknown = await post('bob', { $ip: '192.0.2.1' })
  const disabled = await post('eve', { $ip: '203.0.113.7', $geoip_disable: true })
  await rowmill.until("select uuid from events where event = 'seen'", (rows) => rows.length === 3)
  const propertiesOf = async (uuid: string) => {
    const { status, body } = await rowmill.api('GET', `/api/projects/1/events/${uuid}`)
    assert.equal(status, 200)
    return (body as { properties: Record<string, unknown> }).properties
  }
  const properties = await propertiesOf(known)
  assert.equal(properties.$geoip_city_name, 'Linköping')
  assert.equal(properties.$geoip_country_code, 'SE')
  assert.equal(properties.$geoip_latitude, 58.41)
  assert.equal(properties.$geoip_time_zone, 'Europe/Stockholm')
  for (const uuid of [unknown, disabled])
    assert.deepEqual(
      Object.keys(await propertiesOf(uuid)).filter(
        (name) => name.startsWith('$geoip_') && name !== '$geoip_disable',
      ),
      [],
    )
  const { body } = await rowmill.api('GET', '/api/projects/1/persons?distinct_id=ada')
  const [person] = (body as { results: { properties: Record<string, unknown> }[] }).results
  assert.equal(person?.properties.$geoip_city_name, 'Linköping')
  assert.equal(person?.properties.$initial_geoip_country_name, 'Sweden')
})

test('a file that is missing or broken ends the start at once, with the name of the setting', async () => {
  await using dir = await tempDir('rowmill-geoip-')
  const dataDir = join(dir.path, 'data')
  const rowmill = new RowmillProcess({ dataDir, port: 0, token: 'phc_geoip', apiKey: 'phx_geoip' })
  const missing = join(dir.path, 'missing.mmdb')
  const text = join(dir.path, 'text.mmdb')
  await writeFile(text, 'no database')
  const cut = join(dir.path, 'cut.mmdb')
  await writeFile(cut, database)
  await truncate(cut, database.length >> 1)
  for (const file of [missing, text, cut, dir.path]) {
    const { code, err } = await rowmill.command('serve', '--port', '0', '--set', `ingest.geoip.file=${file}`)
    assert.equal(code, 1, err)
    assert.ok(
      err.includes(`CONFIG_INVALID: The GeoIP database ${file} cannot be read; set ingest.geoip.file`),
      err,
    )
    assert.match(err, /\n {2}because: /)
  }
})
