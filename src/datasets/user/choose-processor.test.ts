import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { type ChoosingStorage, chooseProcessor, type ProcessorWish } from './choose-processor.ts'

const storage = (
  processor: Partial<ChoosingStorage['processor']>,
  format: 'JSONEachRow' | 'RowBinary' = 'JSONEachRow',
) => ({
  name: 'visits',
  processor: { builtIn: undefined, module: undefined, ...processor },
  writer: { format },
})
const builtIn = storage({ builtIn: 'ready_row' })
const user = storage({ module: '/visits.ts' })

test('without a wish the YAML decides', () => {
  assert.deepEqual(chooseProcessor(builtIn), { kind: 'built_in', name: 'ready_row' })
  assert.deepEqual(chooseProcessor(user), { kind: 'module', file: '/visits.ts' })
})

test('a module of the command line is taken before what the YAML says', () => {
  const mine = { kind: 'module', file: '/mine.ts' }
  assert.deepEqual(chooseProcessor(builtIn, { module: '/mine.ts' }), mine)
  assert.deepEqual(chooseProcessor(builtIn, { kind: 'user', module: '/mine.ts' }), mine)
  assert.deepEqual(chooseProcessor(user, { kind: 'user' }), { kind: 'module', file: '/visits.ts' })
  assert.deepEqual(chooseProcessor(builtIn, { kind: 'built-in' }), { kind: 'built_in', name: 'ready_row' })
})

test('what does not exist is an error that names what does, never another processor', () => {
  const refused = (given: ChoosingStorage, wish: ProcessorWish, expected: RegExp) =>
    assert.throws(
      () => chooseProcessor(given, wish),
      (error) => isRowmillError(error, 'PROCESSOR_UNKNOWN') && expected.test(error.message),
    )
  refused(user, { kind: 'built-in' }, /visits has no built-in processor, only the module \/visits\.ts/)
  refused(builtIn, { kind: 'user' }, /only the built-in ready_row: give one with --processor-module/)
  refused(builtIn, { kind: 'built-in', module: '/mine.ts' }, /leave one of them out/)
  refused(storage({ builtIn: 'nothing' }), {}, /nothing, which does not exist; there are .*ready_row/)
  refused(storage({ builtIn: 'ready_row' }, 'RowBinary'), {}, /does not write RowBinary, only JSONEachRow/)
})
