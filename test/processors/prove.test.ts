/**
 * Proves every processor of this repository: it makes the golden rows of its payloads, and agrees with a plain
 * implementation on payloads, payloads with mistakes, and messages out of the schema. `PROVE_SEED` and
 * `PROVE_MESSAGES` make other and more messages.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { builtInProcessorNames } from '../../src/datasets/processors/registry.ts'
import { listYamlFiles, readStorageFiles, storagesFolder } from '../../src/datasets/storage/read-storage.ts'
import {
  compareGoldens,
  describeDifference,
  loadPlain,
  openSubject,
  payloadFolders,
  provePlain,
  type Variant,
} from './compare.ts'

const seed = Number(process.env.PROVE_SEED ?? 20_260)
const generate = Number(process.env.PROVE_MESSAGES ?? 400)

/** Processors that have no payloads of their own: Rowmill's messages are rows already. */
const ready = ['ready_row', 'ready_distinct_id']

/** Headers, live options and formats under which a processor takes other ways. */
const variants: Readonly<Record<string, readonly Variant[]>> = {
  eap_items: [{}, { format: 'RowBinary' }, { live: { eap_items_emit_received_at: true } }],
  generic_metrics_counters: [
    {},
    { headers: { metric_type: 'c' } },
    { headers: { metric_type: 'd' } },
    { format: 'Native' },
  ],
  llm_proxy_cost: [{}, { format: 'Native' }],
  metrics: [{}, { format: 'Native' }],
  outcomes: [{}, { format: 'Native' }],
}

/** One storage for each processor: the first by name that has payloads. */
async function subjects(): Promise<Map<string, string>> {
  const folders = await payloadFolders()
  const files = await readStorageFiles(await listYamlFiles(storagesFolder))
  const found = new Map<string, string>()
  for (const { storage } of files) {
    const { builtIn } = storage.processor
    if (builtIn === undefined || !folders.includes(storage.name) || found.has(builtIn)) continue
    found.set(builtIn, storage.name)
  }
  return found
}

const found = await subjects()

for (const [processor, name] of found)
  suite(`${processor}, by the storage ${name}`, () => {
    test('makes the golden rows', async () => {
      const { checked, findings } = compareGoldens(await openSubject(name))
      assert.deepEqual(findings, [])
      assert.ok(checked > 0, 'it has no golden rows')
    })

    for (const variant of variants[processor] ?? [{}])
      test(`agrees with the plain one ${JSON.stringify(variant)}`, async (context) => {
        const right = await loadPlain(processor)
        if (right === undefined) return context.skip('there is no plain one')
        const proof = provePlain(await openSubject(name), { generate, seed, variant, right })
        context.diagnostic(`seed ${seed}: ${JSON.stringify({ ...proof.messages, ...proof.endings })}`)
        assert.equal(proof.difference && describeDifference(proof.difference), undefined)
        assert.equal(proof.failures.left, 0, 'errors of a built-in processor are InvalidMessage')
      })
  })

test('every processor has a storage, payloads and a plain implementation', async () => {
  const names = builtInProcessorNames().filter((name) => !ready.includes(name))
  assert.ok(names.length > 0)
  assert.deepEqual(
    names.filter((name) => !found.has(name)),
    [],
    'these have no storage with payloads',
  )
  const plain = await Promise.all(names.map(loadPlain))
  assert.deepEqual(
    names.filter((_, at) => plain[at] === undefined),
    [],
    'these have no plain implementation',
  )
})
