import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { CreateProcessor } from '../../src/datasets/processor/processor.ts'
import { loadBuiltInProcessor } from '../../src/datasets/processors/registry.ts'
import { processOne, readPayloads, recordOf } from './golden.ts'

const storages = {
  eap_items: 'eap_items',
  functions_raw: 'functions',
  generic_metrics_counters_raw: 'generic_metrics_counters',
  group_attributes: 'group_attributes',
  groupassignees: 'groupassignees',
  groupedmessages: 'groupedmessages',
  llm_proxy_cost_raw: 'llm_proxy_cost',
  metrics_raw: 'metrics',
  outcomes_raw: 'outcomes',
  profile_chunks: 'profile_chunks',
  profiles: 'profiles',
  querylog: 'querylog',
  replays: 'replays',
}

for (const [storage, processor] of Object.entries(storages)) {
  const create: CreateProcessor | undefined = await loadBuiltInProcessor(processor)
  assert.ok(create)
  suite(storage, () => {
    for (const { name, value, rows } of readPayloads(storage))
      if (rows === undefined)
        test(`${name} is refused`, () => {
          assert.equal(processOne(create, recordOf(value)).ending?.kind, 'invalid')
          const { ending } = processOne(create, recordOf(value))
          assert.equal(ending?.kind === 'invalid' && ending.reason, 'invalid_message')
        })
      else
        test(`${name} becomes its rows`, () => {
          assert.deepEqual(processOne(create, recordOf(value)).rows, rows)
        })
  })
}
