/** What makes messages and makes them smaller: the same for the same seed, always to an end, never lost. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as fc from 'fast-check'
import { type LosslessValue, parseLossless, stringifyLossless } from '../../std/lossless-json.ts'
import { InvalidMessage } from '../processor/invalid-message.ts'
import type { CreateProcessor, Output } from '../processor/processor.ts'
import { createMessage, endOf } from '../processor/run-message.ts'
import { compareEnds } from './compare/compare.ts'
import { generateValues } from './generate.ts'
import { readSyntax, writeSyntax } from './json-syntax.ts'
import { minimise } from './minimise.ts'
import { mutate } from './mutate.ts'
import { prove } from './prove.ts'
import { createSeededRandom } from './seeded-random.ts'

const jsonValues = fc
  .jsonValue({ maxDepth: 4 })
  .map(
    (value): LosslessValue =>
      parseLossless(Buffer.from(JSON.stringify(value).replaceAll(/\\ud[89a-f]../g, ''))),
  )

const compared = { tables: [{ columns: [] }], ignore: new Set<string>() }
const end = (act: (output: Output) => void) => ({
  format: 'JSONEachRow' as const,
  end: endOf({ process: (_, output) => act(output) }, createMessage({ value: '' }), 1),
})

suite('the comparison', () => {
  test('finds no difference between a row and itself, and finds each one the same from both sides', () => {
    fc.assert(
      fc.property(jsonValues, jsonValues, (one, two) => {
        const [left, right] = [one, two].map((value) => end((output) => output.row({ value })))
        if (left === undefined || right === undefined) return
        assert.equal(compareEnds(left, left, compared), undefined)
        const found = compareEnds(left, right, compared)
        const back = compareEnds(right, left, compared)
        assert.equal(found === undefined, back === undefined)
        if (stringifyLossless(one) === stringifyLossless(two)) assert.equal(found, undefined)
        if (found !== undefined && back?.path === found.path)
          assert.deepEqual([back.left, back.right], [found.right, found.left])
      }),
    )
  })

  test('finds a change of a single value', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 2n }), fc.array(fc.string()), (id, names) => {
        const left = end((output) => output.row({ names: names.map((name) => name.toWellFormed()), id }))
        const right = end((output) =>
          output.row({ names: names.map((name) => name.toWellFormed()), id: id + 1n }),
        )
        assert.equal(compareEnds(left, right, compared)?.path, 'row[0].id')
      }),
    )
  })
})

suite('the smaller message', () => {
  test('still holds what was found, is no larger, and nothing one step smaller holds', () => {
    fc.assert(
      fc.property(jsonValues, fc.array(jsonValues, { maxLength: 5 }), (wanted, others) => {
        const needle = stringifyLossless(wanted)
        const message = Buffer.from(stringifyLossless({ a: others, b: { c: [wanted, 1.5] }, d: 'x' }))
        const holds = (smaller: Buffer) => smaller.includes(needle)
        const smallest = minimise(message, { holds, triesMax: 5000 })
        assert.ok(holds(smallest))
        assert.ok(smallest.length <= message.length)
        assert.equal(minimise(smallest, { holds, triesMax: 5000 }).length, smallest.length)
      }),
      { numRuns: 50 },
    )
  })

  test('is as small as can be for a single key, a number and a character', () => {
    const value = Buffer.from(
      stringifyLossless({
        list: Array.from({ length: 50 }, (_, at) => ({ at, name: `item ${at}`, big: 2n ** 64n })),
        deep: { deeper: { key: 'abcdeXfgh', more: [1, 2, 3] } },
        seven: 7777,
      }),
    )
    const smallest = (holds: (text: string) => boolean) =>
      minimise(value, { holds: (bytes) => holds(bytes.toString()), triesMax: 20_000 }).toString()
    assert.equal(
      smallest((text) => text.includes('X')),
      '"X"',
    )
    assert.equal(
      smallest((text) => 'seven' in Object(JSON.parse(text))),
      '{"seven":0}',
    )
    assert.equal(
      smallest((text) => JSON.parse(text).deep?.deeper?.key?.length > 3),
      '{"deep":{"deeper":{"key":"Xfgh"}}}',
    )
    assert.equal(
      smallest((text) => (JSON.parse(text).list?.length ?? 0) >= 2),
      '{"list":[0,0]}',
    )
  })

  test('keeps what only looks like JSON: keys that stand there twice, numbers beyond every range', () => {
    const value = Buffer.from('{"x":[1,2],"a":{"b":[1E400, 7],"b":"\\ud800xyz"},"c":true}')
    const smallest = (part: string) =>
      minimise(value, { holds: (bytes) => bytes.includes(part), triesMax: 5000 }).toString()
    assert.equal(smallest('E40'), '1E40')
    assert.equal(smallest('\\ud800'), '"\\ud800"')
    const twice = minimise(value, { holds: (bytes) => /"b".*"b"/.test(bytes.toString()), triesMax: 5000 })
    assert.equal(twice.toString(), '{"b":0,"b":0}')
  })

  test('is read and written as it is', () => {
    fc.assert(
      fc.property(jsonValues, fc.constantFrom('', ' ', '\n\t'), (value, space) => {
        const text = stringifyLossless(value)
        const node = readSyntax(space + text + space)
        assert.ok(node !== undefined)
        assert.equal(writeSyntax(node), text)
      }),
    )
    for (const wrong of ['', '{', '[1', '{"a"}', '{a:1}', '[1,]', '[1]]', '{"a":1', '"a', '1 2', ']', ','])
      assert.equal(readSyntax(wrong), undefined, wrong)
  })

  test('of what is no JSON has fewer bytes', () => {
    const holds = (bytes: Buffer) => bytes.includes(0xff) && bytes.includes(0x07)
    const value = Buffer.concat([Buffer.alloc(300, 1), Buffer.from([0x07, 0xff]), Buffer.alloc(200, 2)])
    assert.deepEqual([...minimise(value, { holds, triesMax: 5000 })], [0x07, 0xff])
  })
})

suite('made messages', () => {
  const schema = {
    $defs: {
      node: {
        type: 'object',
        properties: { name: { type: 'string', minLength: 1 }, next: { $ref: '#/$defs/node' } },
        required: ['name'],
        additionalProperties: false,
      },
    },
    type: 'object',
    required: ['id', 'kind', 'node'],
    properties: {
      id: { type: 'integer', minimum: 0, maximum: 255 },
      kind: { enum: ['a', 'b', 3, null] },
      ratio: { type: ['number', 'null'], minimum: 0, maximum: 1 },
      when: { type: 'string', format: 'date-time' },
      node: { $ref: '#/$defs/node' },
      either: {
        oneOf: [{ type: 'boolean' }, { type: 'array', items: { type: 'string' }, minItems: 2, maxItems: 3 }],
      },
      pair: {
        type: 'array',
        prefixItems: [{ const: 1 }, { type: 'string', pattern: '^[a-f]{3}$' }],
        items: false,
      },
      both: {
        allOf: [
          { type: 'object', required: ['x'], properties: { x: { type: 'integer' } } },
          { properties: { y: { const: 'y' } } },
        ],
      },
    },
  }

  test('obey the schema and are the same for the same seed', () => {
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema)
    const values = generateValues(schema, { count: 400, seed: 5 })
    for (const value of values) {
      const text = stringifyLossless(value)
      assert.ok(validate(JSON.parse(text)), `${text} ${JSON.stringify(validate.errors)}`)
    }
    const again = generateValues(schema, { count: 400, seed: 5 })
    assert.deepEqual(values.map(stringifyLossless), again.map(stringifyLossless))
    const texts = values.map(stringifyLossless).join('\n')
    for (const edge of ['255', '"either":[', '"next":{"name"', '\\u0000', '"ratio":null'])
      assert.ok(texts.includes(edge), `no message has ${edge}`)
  })

  test('meet what only narrows further', () => {
    const narrow = {
      $defs: { name: { type: 'string', maxLength: 3 } },
      type: 'object',
      required: ['count', 'kind', 'ratio', 'name'],
      properties: {
        count: { type: 'integer', minimum: 1, maximum: 1000, multipleOf: 7 },
        ratio: { type: 'number', minimum: 0, maximum: 10, multipleOf: 0.25 },
        kind: { enum: ['a', 'b', 'c'], not: { const: 'c' } },
        name: { $ref: '#/$defs/name', not: { enum: ['', 'x'] } },
      },
      if: { properties: { kind: { const: 'a' } } },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own word.
      then: { required: ['more'], properties: { more: { type: 'boolean' } } },
      else: { properties: { more: { type: 'null' } } },
    }
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(narrow)
    const values = generateValues(narrow, { count: 300, seed: 5 }).map(stringifyLossless)
    const valid = values.filter((text) => validate(JSON.parse(text)))
    assert.ok(valid.length > 0.9 * values.length, `${valid.length} of ${values.length} are valid`)
    for (const wanted of ['"kind":"a"', '"kind":"b"', '"more":true', '"more":null'])
      assert.ok(
        valid.some((text) => text.includes(wanted)),
        `no message has ${wanted}`,
      )
  })

  test('out of any schema come without an error', () => {
    const anything = [
      true,
      false,
      {},
      { type: 'string', maxLength: 0 },
      { type: 'integer', minimum: 1e15 },
      { $ref: '#/nowhere' },
      { $ref: '#' },
      { type: ['array', 'integer'], items: { $ref: '#' } },
      { type: 'string', pattern: '(?<=a)b' },
      { anyOf: [] },
      { type: 'integer', maximum: -5 },
      { items: [{ type: 'null' }] },
      { type: 'number', minimum: 5, maximum: 5 },
      { not: {} },
      { if: true },
      { type: 'integer', multipleOf: 0.3 },
    ]
    for (const one of anything) assert.equal(generateValues(one, { count: 50, seed: 1 }).length, 50)
  })

  test('out of payloads are the same for the same seed and often wrong', () => {
    const payload = Buffer.from('{"id":1,"list":[{"a":"b"},2.5],"text":"hello","none":null}')
    const made = (seed: number) => {
      const random = createSeededRandom(seed)
      return Array.from({ length: 500 }, () => mutate(payload, random).toString('latin1'))
    }
    assert.deepEqual(made(3), made(3))
    const isJson = (text: string) => {
      try {
        return JSON.parse(text) !== undefined
      } catch {
        return false
      }
    }
    const wrong = made(3).filter((text) => !isJson(text)).length
    assert.ok(wrong > 10 && wrong < 150, `${wrong} are no JSON`)
    assert.ok(new Set(made(3)).size > 300)
    for (const sign of ['\\ud800', '"id":1,"id"', '18446744073709551615', '1.0', '[{"a":[{"a":['])
      assert.ok(
        [3, 4, 5].some((seed) => made(seed).some((text) => text.includes(sign))),
        sign,
      )
    fc.assert(
      fc.property(fc.uint8Array(), fc.integer(), (bytes, seed) => {
        mutate(Buffer.from(bytes), createSeededRandom(seed))
      }),
    )
  })
})

suite('a proof', () => {
  const storage = {
    name: 'visits',
    tables: [{ columns: [] }],
    format: 'JSONEachRow' as const,
    retention: { defaultDays: 90, lowerDays: 30, validDays: [30, 90] },
    options: {},
    messageSchema: {
      type: 'object',
      required: ['id'],
      properties: { id: { type: 'integer', minimum: 0 }, page: { type: 'string' } },
    },
  }
  const payloads = [
    { name: 'visit.json', value: Buffer.from('{"id":5,"page":"/a","more":[1,2]}'), headers: {} },
  ]
  const right: CreateProcessor = () => ({
    process(message, output) {
      const value = parseLossless(message.value)
      if (typeof value !== 'object' || value === null || !('id' in value)) throw new InvalidMessage('no id')
      output.row({ id: value.id, page: value.page })
    },
  })

  test('of a processor against itself finds nothing', async () => {
    const proof = prove({ storage, left: right, right, payloads, generate: 300, seed: 1 })
    assert.equal(proof.difference, undefined)
    assert.deepEqual(proof.messages, { payload: 1, mutated: 150, generated: 150 })
    assert.ok(proof.rows > 100 && proof.endings.invalid > 5)
  })

  test('finds large integers that were rounded, and shows the smallest message', async () => {
    const rounding: CreateProcessor = () => ({
      process(message, output) {
        const value = parseLossless(message.value)
        if (typeof value !== 'object' || value === null || !('id' in value)) throw new InvalidMessage('no id')
        output.row({ id: typeof value.id === 'bigint' ? Number(value.id) : value.id, page: value.page })
      },
    })
    const proof = prove({ storage, left: rounding, right, payloads, generate: 5000, seed: 2 })
    assert.ok(proof.difference !== undefined)
    assert.ok(
      proof.difference.value.length <= '{"id":9007199254740993}'.length + 4,
      proof.difference.value.toString(),
    )
  })

  test('says which message of which file it was, and drops headers that do not matter', async () => {
    const picky: CreateProcessor = (context) => ({
      process(message, output) {
        if (message.headers.kind === 'x') output.skip('x')
        else right(context).process(message, output)
      },
    })
    const one = { name: 'one.json', value: Buffer.from('{"id":1}'), headers: { kind: 'x', other: 'y' } }
    const { difference } = prove({
      storage,
      left: picky,
      right,
      payloads: [...payloads, one],
      generate: 0,
      seed: 1,
    })
    assert.equal(difference?.origin, 'payload one.json')
    assert.deepEqual(difference?.headers, { kind: 'x' })
    assert.deepEqual([difference?.path, difference?.left], ['ending', 'skipped: x'])
    assert.equal(difference?.value.toString(), '{"id":0}')
  })

  test('without any message is an error', () => {
    const nothing = { ...storage, messageSchema: undefined }
    assert.throws(
      () => prove({ storage: nothing, left: right, right, payloads: [], generate: 10, seed: 1 }),
      { code: 'PAYLOADS_INVALID' },
    )
  })
})
