import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeElementsChain } from './elements.ts'
import type { Properties } from './incoming-event.ts'

test('a ready chain is taken as it is and wins', () => {
  const properties: Properties = { $elements_chain: 'a:href="/x"', $elements: [{ tag_name: 'b' }], price: 1 }
  assert.equal(takeElementsChain(properties), 'a:href="/x"')
  assert.deepEqual(properties, { price: 1 })
})

test('elements become text with sorted classes and attributes', () => {
  const properties: Properties = {
    $elements: [
      {
        tag_name: 'a',
        $el_text: 'Say "hi"',
        attr__class: 'small btn',
        attr__href: '/page',
        attr__id: 'go',
        'attr__data-x': 'y"z',
        nth_child: 2,
        nth_of_type: 1,
      },
      { tag_name: 'div', attr__class: ['b"ad', 'a'], nth_child: 3 },
    ],
  }
  assert.equal(
    takeElementsChain(properties),
    'a.btn.small:attr__class="small btn"attr__data-x="y\\"z"attr__href="/page"attr__id="go"attr_id="go"href="/page"nth-child="2"nth-of-type="1"text="Say \\"hi\\""' +
      ';div.a.bad:attr__class="["b\\"ad","a"]"nth-child="3"nth-of-type="0"'.replace(
        '["b\\"ad","a"]',
        '[\\"b\\\\"ad\\",\\"a\\"]',
      ),
  )
})

test('long texts and addresses are cut', () => {
  const chain = takeElementsChain({
    $elements: [{ tag_name: 'a', $el_text: 't'.repeat(500), attr__href: 'h'.repeat(3000) }],
  })
  assert.ok(chain.includes(`text="${'t'.repeat(400)}"`))
  assert.ok(chain.includes(`"href="${'h'.repeat(2048)}"`))
})

test('what is no list of elements is no chain and does not stay', () => {
  for (const elements of ['[]', {}, null, 7, [], [null, 'x']]) {
    const properties: Properties = { $elements: elements }
    assert.equal(takeElementsChain(properties), '')
    assert.deepEqual(properties, {})
  }
  assert.equal(takeElementsChain({ $elements_chain: 5 }), '')
  assert.equal(takeElementsChain({}), '')
})
