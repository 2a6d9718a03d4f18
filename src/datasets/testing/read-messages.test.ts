import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { readMessages } from './read-messages.ts'

const read = async (text: string, type = 'application/json') =>
  (await readMessages(Buffer.from(text), type)).map((message) => message.toString())

test('elements of an array are given as they were written', async () => {
  assert.deepEqual(
    await read(' [ {"a": 1.0, "b":[1,{"c":"],\\"}"}]} ,[2,"insert"], 18446744073709551615, "x" ] '),
    [' {"a": 1.0, "b":[1,{"c":"],\\"}"}]} ', '[2,"insert"]', ' 18446744073709551615', ' "x" '],
  )
  assert.deepEqual(await read('[]'), [])
  assert.deepEqual(await read('[ ]'), [])
})

test('whatever the elements are, each comes back as its own JSON', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { maxLength: 6 }),
      fc.nat({ max: 3 }),
      async (values, space) => {
        const messages = await read(JSON.stringify(values, null, space))
        assert.deepEqual(
          messages.map((text) => JSON.parse(text) as unknown),
          JSON.parse(JSON.stringify(values)),
        )
      },
    ),
  )
})

test('lines of NDJSON are messages, empty ones are not', async () => {
  assert.deepEqual(await read('{"a":1}\n\n{"a":2}\r\n', 'application/x-ndjson; charset=utf-8'), [
    '{"a":1}',
    '{"a":2}\r',
  ])
})

test('every part of a form is a message, bytes and all', async () => {
  const form = new FormData()
  form.append('item_0', new Blob([new Uint8Array([0, 255, 10, 13])]), 'item_0')
  form.append('item_1', new Blob(['{"a":1}']), 'item_1')
  const request = new Response(form)
  const body = Buffer.from(await request.arrayBuffer())
  const messages = await readMessages(body, request.headers.get('content-type') ?? '')
  assert.deepEqual(
    messages.map((message) => [...message]),
    [[0, 255, 10, 13], [...Buffer.from('{"a":1}')]],
  )
})

for (const [text, type] of [
  ['{"a":1}', 'application/json'],
  ['[1,', 'application/json'],
  ['', 'application/json'],
  ['no form', 'multipart/form-data; boundary=x'],
] as const)
  test(`${JSON.stringify(text)} as ${type} is refused`, async () => {
    await assert.rejects(read(text, type), (error: unknown) => isRowmillError(error, 'REQUEST_INVALID'))
  })
