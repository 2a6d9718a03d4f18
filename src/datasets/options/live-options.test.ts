import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { createSystemClock } from '../../adapters/embedded/clock.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import {
  changeLiveOption,
  listLiveOptionChanges,
  listLiveOptions,
  liveOptionRegister,
  openLiveOptions,
} from './live-options.ts'

const name = 'eap_items_emit_received_at'

test('a value that is set is seen by a running consumer without a restart, and taken back again', async () => {
  await using opened = await openTestDatabase({ isMigrated: true })
  const { database } = opened
  const stop = new AbortController()
  await using live = await openLiveOptions(
    { database, clock: createSystemClock(), ...quietTelemetry() },
    { pollIntervalMs: 200 },
    { signal: stop.signal },
  )
  assert.deepEqual(live.of('eap_items'), {})
  await changeLiveOption(database, { name, storage: '', value: true, changedBy: 'ada' })
  await waitFor(() => live.of('eap_items')[name] === true)
  await changeLiveOption(database, { name, storage: 'eap_items', value: false, changedBy: 'ada' })
  await waitFor(() => live.of('eap_items')[name] === false)
  assert.equal(live.of('other')[name], true)
  await changeLiveOption(database, { name, storage: '', value: undefined, changedBy: 'bob' })
  await waitFor(() => live.of('other')[name] === undefined)
  assert.deepEqual(
    (await listLiveOptions(database)).map(({ storage, value }) => [storage, value]),
    [['eap_items', false]],
  )
  assert.deepEqual(
    (await listLiveOptionChanges(database, 10)).map(({ storage, value, changedBy }) => [
      storage,
      value,
      changedBy,
    ]),
    [
      ['', undefined, 'bob'],
      ['eap_items', false, 'ada'],
      ['', true, 'ada'],
    ],
  )
})

test('an unknown option and a value of the wrong kind are refused by name', async () => {
  await using opened = await openTestDatabase({ isMigrated: true })
  const change = (wrong: { name: string; value: unknown }) =>
    changeLiveOption(opened.database, { storage: '', changedBy: 'ada', ...wrong })
  await assert.rejects(change({ name: 'no_such', value: 1 }), (error: unknown) =>
    isRowmillError(error, 'OPTION_INVALID'),
  )
  await assert.rejects(change({ name, value: 'yes' }), /eap_items_emit_received_at.*Like this: true/)
  assert.deepEqual(await listLiveOptions(opened.database), [])
})

test('every example in the register is a value that its option takes', () => {
  for (const { schema, example } of Object.values(liveOptionRegister))
    assert(schema.safeParse(JSON.parse(example)).success, example)
})
