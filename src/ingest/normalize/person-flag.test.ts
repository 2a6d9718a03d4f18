import assert from 'node:assert/strict'
import { test } from 'node:test'
import { teamRow } from '../../../test/support/ingest-fakes.ts'
import type { Properties } from '../incoming-event.ts'
import { toTeam } from '../teams.ts'
import { applyPersonFlag, readPersonFlag } from './person-flag.ts'

const team = toTeam(teamRow())
const read = (flag: unknown, change: { forced?: boolean; off?: boolean } = {}) =>
  readPersonFlag({
    properties: flag === undefined ? {} : { $process_person_profile: flag },
    isPersonForcedOff: change.forced ?? false,
    team: { ...team, isPersonProcessingOff: change.off ?? false },
  })

test('only false switches people off, and only a boolean is valid', () => {
  assert.deepEqual(read(undefined), { processing: 'on', isExplicit: false, isFlagValid: true })
  assert.deepEqual(read(true), { processing: 'on', isExplicit: true, isFlagValid: true })
  assert.deepEqual(read(false), { processing: 'off', isExplicit: false, isFlagValid: true })
  for (const flag of ['false', 0, null, {}]) {
    assert.deepEqual(read(flag), { processing: 'on', isExplicit: false, isFlagValid: false })
  }
})

test('the project can switch people off, and capture before all others', () => {
  assert.equal(read(undefined, { off: true }).processing, 'off')
  assert.equal(read(true, { off: true }).processing, 'off')
  assert.equal(read(true, { forced: true, off: true }).processing, 'forced-off')
})

test('the decision leaves no instruction behind that nobody will follow', () => {
  const instructions = () => ({ $set: {}, $set_once: {}, $unset: [], $process_person_profile: true })
  const apply = (event: string, isOn: boolean) => {
    const properties: Properties = instructions()
    applyPersonFlag(properties, event, isOn)
    return properties
  }
  assert.deepEqual(apply('visited', true), { $set: {}, $set_once: {}, $unset: [] })
  assert.deepEqual(apply('visited', false), { $process_person_profile: false })
  assert.deepEqual(apply('$groupidentify', true), {})
})
