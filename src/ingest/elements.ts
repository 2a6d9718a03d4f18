import { isRecord } from './entities/jsonb.ts'
import type { Properties } from './incoming-event.ts'

/**
 * The chain of elements that a click went through, in PostHog's text form: elements joined by `;`, each
 * `tag.class1.class2:attribute="value"…` with classes and attributes sorted. Newer SDKs send the text itself;
 * older ones send a list of objects.
 */
const textLengthMax = 400
const hrefLengthMax = 2048

/** Takes `$elements_chain` and `$elements` out of the properties, in place, and answers the chain; empty without one. */
export function takeElementsChain(properties: Properties): string {
  const { $elements_chain: chain, $elements: elements } = properties
  if (chain === undefined && elements === undefined) return ''
  delete properties.$elements_chain
  delete properties.$elements
  if (typeof chain === 'string' && chain !== '') return chain.toWellFormed()
  return Array.isArray(elements) ? elements.filter(isRecord).map(elementText).join(';').toWellFormed() : ''
}

function elementText(element: Properties): string {
  const tag = textOf(element.tag_name) ?? ''
  const classes = classesOf(element.attr__class)
  const attributes = attributesOf(element)
  const sorted = [...attributes].sort(([left], [right]) => compareKeys(left, right))
  const pairs = sorted.map(([key, value]) => `${escapeQuotes(key)}="${escapeQuotes(value)}"`)
  return `${tag}${classes.map((name) => `.${name.replaceAll('"', '')}`).join('')}:${pairs.join('')}`
}

function attributesOf(element: Properties): Map<string, string> {
  const attributes = new Map<string, string>()
  const add = (key: string, value: string | undefined) => {
    if (value !== undefined && value !== '') attributes.set(key, value)
  }
  add('text', textOf(element.$el_text)?.slice(0, textLengthMax))
  add('nth-child', textOf(element.nth_child) ?? '0')
  add('nth-of-type', textOf(element.nth_of_type) ?? '0')
  add('href', textOf(element.attr__href)?.slice(0, hrefLengthMax))
  add('attr_id', textOf(element.attr__id))
  for (const [key, value] of Object.entries(element))
    if (key.startsWith('attr__')) attributes.set(key, textOf(value) ?? JSON.stringify(value) ?? '')
  return attributes
}

function classesOf(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : value.split(' ').sort()
  return Array.isArray(value) ? value.filter((name) => typeof name === 'string').sort() : []
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** The order of ICU's root locale, as `localeCompare` has it on PostHog's servers. */
function compareKeys(left: string, right: string): number {
  return left.localeCompare(right, 'en')
}

function escapeQuotes(text: string): string {
  return text.replaceAll('"', '\\"')
}
