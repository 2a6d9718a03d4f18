import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identify, personEvent } from '../../../test/support/person-tables.ts'
import { needsOf } from './needs.ts'

const idsOf = (events: Parameters<typeof needsOf>[0]) =>
  needsOf(events).distinctIds.map((id) => `${id.teamId}:${id.distinctId}`)

test('a batch needs each id once, with the ids that its merges name', () => {
  const alias = personEvent({ event: '$create_alias', distinctId: 'a', properties: { alias: 42 } })
  const events = [
    personEvent({ distinctId: 'a' }),
    identify('a', 'b'),
    alias,
    personEvent({ distinctId: 'a', teamId: 2 }),
  ]
  assert.deepEqual(idsOf(events), ['1:a', '1:b', '1:42', '2:a'])
})

test('nothing is needed for ids that are not looked up or cannot be merged', () => {
  assert.deepEqual(idsOf([personEvent({ distinctId: 'a', processing: 'forced-off' })]), [])
  assert.deepEqual(idsOf([identify('a', 'null'), identify('a', 'b\0')]), ['1:a'])
})

test('ids are asked for in the form in which they are stored', () => {
  assert.deepEqual(idsOf([personEvent({ distinctId: 'a\uD800' }), personEvent({ distinctId: 'a\uFFFD' })]), [
    '1:a\uFFFD',
  ])
})

test('groups are needed only where their properties are set, group types wherever they are named', () => {
  const member = personEvent({ distinctId: 'a', properties: { $groups: { company: 'x' } } })
  const properties = { $group_type: 'team', $group_key: 7 }
  const group = personEvent({ event: '$groupidentify', distinctId: 'a', teamId: 2, projectId: 9, properties })
  const needs = needsOf([member, group])
  assert.deepEqual(
    needs.groupTypes.map((type) => type.projectId),
    [1, 9],
  )
  assert.deepEqual(needs.groups, [{ teamId: 2, projectId: 9, groupType: 'team', groupKey: '7' }])
})
