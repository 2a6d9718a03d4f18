import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { applyPersonFlag } from './person-flag.ts'
import { liftPersonProperties, personPropertiesFromEvents } from './person-properties.ts'

const key = fc.oneof(
  fc.constantFrom(...personPropertiesFromEvents, '$set', '$set_once', '$is_server', '__proto__'),
  fc.string(),
)
const properties = fc.dictionary(key, fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(true)), {
  maxKeys: 10,
})

test('lifting twice changes nothing more, and leaves all other properties alone', () => {
  fc.assert(
    fc.property(properties, (given) => {
      const once = structuredClone(given)
      liftPersonProperties(once)
      const twice = structuredClone(once)
      liftPersonProperties(twice)
      assert.deepEqual(twice, once)
      for (const [name, value] of Object.entries(given))
        if (!['$set', '$set_once', '$os'].includes(name)) assert.deepEqual(once[name], value)
    }),
  )
})

test('without a person no instruction is left, whatever was lifted', () => {
  fc.assert(
    fc.property(properties, fc.boolean(), (given, isOn) => {
      const result = structuredClone(given)
      liftPersonProperties(result)
      applyPersonFlag(result, 'visited', isOn)
      if (!isOn)
        for (const name of ['$set', '$set_once', '$unset']) assert.equal(Object.hasOwn(result, name), false)
      assert.equal(result.$process_person_profile, isOn ? undefined : false)
    }),
  )
})
