import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readClientWarning } from './client-warning.ts'

const event = (properties: Record<string, unknown>) => ({
  uuid: 'u1',
  distinctId: 'ann',
  event: '$$client_ingestion_warning',
  properties,
})

test("an SDK's warning carries its message and is always sent", () => {
  const warning = readClientWarning(event({ $$client_ingestion_warning_message: 'clock is wrong' }))
  assert.deepEqual(warning, {
    type: 'client_ingestion_warning',
    details: {
      eventUuid: 'u1',
      event: '$$client_ingestion_warning',
      distinctId: 'ann',
      message: 'clock is wrong',
    },
    pipelineStep: 'client-emit',
    isAlwaysSent: true,
  })
})

test('what capture found keeps its type and speaks of the event that it found it at', () => {
  const warning = readClientWarning(
    event({
      $$client_ingestion_warning_type: 'distinct_id_too_large',
      $$client_ingestion_warning_details: { eventUuid: 'u0', pipelineStep: 'validate' },
      $$client_ingestion_warning_source: 'anything',
    }),
  )
  assert.deepEqual(warning, {
    type: 'distinct_id_too_large',
    details: { eventUuid: 'u0', distinctId: 'ann' },
    pipelineStep: 'validate',
    source: 'capture',
  })
})

test('a type that only the server may name is not believed', () => {
  for (const type of ['schema_validation_failed', 'group_key_too_long', 'constructor', 7])
    assert.equal(
      readClientWarning(event({ $$client_ingestion_warning_type: type })).type,
      'client_ingestion_warning',
    )
})
