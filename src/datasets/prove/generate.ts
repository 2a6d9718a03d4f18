/**
 * Messages out of a JSON Schema: what it allows, with values from the edges more often than chance would bring
 * them. What only narrows further is met where that is likely (`not`, `if`, `multipleOf`) or passed over
 * (`dependentSchemas`, `contains`), so some messages are not valid; two processors must agree on those as well.
 */
import * as fc from 'fast-check'
import { JsonFloat, type LosslessObject, type LosslessValue } from '../../std/lossless-json.ts'
import { edgeFloats, edgeIntegers, edgeTexts, otherValues } from './edges.ts'
import { createChecks, type Fits, thoseThat, toMultiple } from './narrow.ts'

export type Schema = boolean | { readonly [keyword: string]: unknown }
type Values = fc.Arbitrary<LosslessValue>

/** Deeper than this only what must be there is made, and twice as deep anything. */
const depthMax = 6
/** References that lead to references go in circles beyond this. */
const hopsMax = 20

/** `count` values of the schema; the same seed gives the same ones. */
export function generateValues(
  schema: Schema,
  { count, seed }: { count: number; seed: number },
): LosslessValue[] {
  return fc.sample(new SchemaReader(schema).values(schema, 0), { numRuns: count, seed })
}

class SchemaReader {
  readonly #root: Schema
  /** By depth, then by schema. */
  readonly #known: Map<Schema, Values>[] = []
  /** Arrays get shorter the deeper they are. */
  readonly #depth = fc.createDepthIdentifier()
  #checks: ReturnType<typeof createChecks> | undefined

  constructor(root: Schema) {
    this.#root = root
  }

  /** Objects that refer to themselves are read again at each depth, until it is enough. */
  values(schema: Schema, depth: number): Values {
    if (typeof schema === 'boolean' || depth > 2 * depthMax) return anyValue()
    const known = this.#known[depth] ?? new Map<Schema, Values>()
    this.#known[depth] = known
    const before = known.get(schema)
    if (before !== undefined) return before
    const values = this.#read(this.#resolve(schema), depth)
    known.set(schema, values)
    return values
  }

  #read(schema: Schema, depth: number): Values {
    if (typeof schema === 'boolean') return anyValue()
    if ('if' in schema) return this.#conditional(schema, depth)
    if ('not' in schema) {
      const { not, ...base } = schema
      const isForbidden = this.#check(not)
      return thoseThat((value) => !isForbidden(value), this.#read(base, depth))
    }
    if ('const' in schema) return fc.constant(toLossless(schema.const))
    if (Array.isArray(schema.enum)) return oneOf(schema.enum.map((value) => fc.constant(toLossless(value))))
    const choices = listOf(schema.oneOf ?? schema.anyOf)
    if (choices.length > 0) {
      const { oneOf: _, anyOf: __, ...base } = schema
      return oneOf(choices.map((choice) => this.values(merge(base, this.#resolve(choice)), depth + 1)))
    }
    const types = typesOf(schema)
    return oneOf(types.map((type) => this.#ofType(type, schema, depth)))
  }

  /** Half of the values meet the condition, and what then is asked; the others what is asked otherwise. */
  #conditional(schema: { readonly [keyword: string]: unknown }, depth: number): Values {
    const { if: condition, then: whenMet = true, else: otherwise = true, ...base } = schema
    const met = merge(merge(base, this.#resolve(condition)), this.#resolve(whenMet))
    const unmet = merge(base, this.#resolve(otherwise))
    const isMet = this.#check(condition)
    return oneOf([this.#read(met, depth), thoseThat((value) => !isMet(value), this.#read(unmet, depth))])
  }

  #check(part: unknown): Fits {
    this.#checks ??= createChecks(this.#root)
    return this.#checks(part)
  }

  #ofType(type: string, schema: { readonly [keyword: string]: unknown }, depth: number): Values {
    switch (type) {
      case 'object':
        return this.#objects(schema, depth)
      case 'array':
        return this.#arrays(schema, depth)
      case 'string':
        return texts(schema)
      case 'integer':
        return multiples(schema, integers(schema))
      case 'number':
        return multiples(schema, numbers(schema))
      case 'boolean':
        return fc.boolean()
      case 'null':
        return fc.constant(null)
      default:
        return anyValue()
    }
  }

  #objects(schema: { readonly [keyword: string]: unknown }, depth: number): Values {
    const required = new Set(listOf(schema.required).filter((name) => typeof name === 'string'))
    const properties = Object.entries(mapOf(schema.properties)).filter(
      ([name]) => depth < depthMax || required.has(name),
    )
    const fields = properties.map(([name, inner]) => {
      const value = this.values(isSchema(inner) ? inner : true, depth + 1)
      return required.has(name)
        ? value.map(present)
        : fc.option(value.map(present), { nil: undefined, freq: 3 })
    })
    const extra = this.#extraFields(schema, { depth, isOpen: properties.length === 0 })
    return fc.tuple(fc.tuple(...fields), extra).map(([values, others]) => {
      const known = values.flatMap((field, at) =>
        field === undefined ? [] : [[properties[at]?.[0] ?? '', field.value] as const],
      )
      return Object.fromEntries([...others.filter(([name]) => !required.has(name)), ...known])
    })
  }

  /** Fields beside the described ones: seldom any where some are described, several where none is. */
  #extraFields(
    schema: { readonly [keyword: string]: unknown },
    { depth, isOpen }: { depth: number; isOpen: boolean },
  ): fc.Arbitrary<[string, LosslessValue][]> {
    const [patterned] = Object.entries(mapOf(schema.patternProperties))
    const more = patterned?.[1] ?? schema.additionalProperties
    if (more === false) return fc.constant([])
    const value = isSchema(more) ? this.values(more, depth + 1) : anyValue()
    const pattern = patterned?.[0] ?? mapOf(schema.propertyNames).pattern
    const usual = typeof pattern === 'string' ? matching(pattern) : undefined
    const name = fc.oneof(
      { weight: usual === undefined ? 4 : 40, arbitrary: usual ?? fc.stringMatching(/^[a-z_.]{1,12}$/) },
      { weight: 1, arbitrary: fc.constantFrom(...edgeTexts) },
    )
    const fields = fc.array(fc.tuple(name, value), { maxLength: isOpen ? 5 : 2 })
    return isOpen
      ? fields
      : fc.oneof(
          { weight: 9, arbitrary: fc.constant<[string, LosslessValue][]>([]) },
          { weight: 1, arbitrary: fields },
        )
  }

  #arrays(schema: { readonly [keyword: string]: unknown }, depth: number): Values {
    const isTuple = Array.isArray(schema.items)
    const first = listOf(schema.prefixItems ?? (isTuple ? schema.items : undefined)).filter(isSchema)
    const rest = isTuple ? schema.additionalItems : schema.items
    const least = Math.max(0, numberOf(schema.minItems) ?? 0)
    const usual = depth < depthMax ? Math.max(least, 4 + first.length) : least
    const most = Math.min(numberOf(schema.maxItems) ?? usual, depth < depthMax ? 50 : usual)
    const items = fc.tuple(...first.map((inner) => this.values(inner, depth + 1)))
    if (rest === false || most <= first.length) return items.map((values) => values.slice(0, most))
    const others = fc.array(this.values(isSchema(rest) ? rest : true, depth + 1), {
      minLength: Math.max(0, least - first.length),
      maxLength: Math.max(0, Math.min(most, 6 + least) - first.length),
      depthIdentifier: this.#depth,
    })
    return fc.tuple(items, others).map(([head, tail]) => [...head, ...tail])
  }

  /** Follows references inside the schema, and puts the parts of `allOf` together. */
  #resolve(schema: unknown, hops = 0): Schema {
    if (!isSchema(schema) || typeof schema === 'boolean' || hops > hopsMax) return true
    let resolved: Schema = schema
    if (typeof resolved.$ref === 'string') {
      const { $ref, ...beside } = resolved
      resolved = merge(beside, this.#find($ref, hops + 1))
    }
    if (typeof resolved === 'boolean' || !Array.isArray(resolved.allOf)) return resolved
    const { allOf, ...beside } = resolved
    return allOf.reduce<Schema>((all, part) => merge(all, this.#resolve(part, hops + 1)), beside)
  }

  #find(reference: string, hops: number): Schema {
    if (!reference.startsWith('#')) return true
    let found: unknown = this.#root
    for (const part of reference.slice(1).split('/').slice(1)) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      found = isSchemaMap(found) || Array.isArray(found) ? Reflect.get(found, key) : undefined
    }
    return this.#resolve(found, hops)
  }
}

/** Both at once: fields of both, what the second says wins. */
function merge(one: Schema, two: Schema): Schema {
  if (typeof one === 'boolean') return two
  if (typeof two === 'boolean') return one
  const properties = { ...mapOf(one.properties), ...mapOf(two.properties) }
  const required = [...listOf(one.required), ...listOf(two.required)]
  return {
    ...one,
    ...two,
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(required.length === 0 ? {} : { required }),
  }
}

function typesOf(schema: { readonly [keyword: string]: unknown }): string[] {
  const named = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter(
    (type) => typeof type === 'string',
  )
  if (named.length > 0) return named
  if ('properties' in schema || 'required' in schema || 'additionalProperties' in schema) return ['object']
  if ('items' in schema || 'prefixItems' in schema) return ['array']
  if ('minimum' in schema || 'maximum' in schema) return ['number']
  if ('format' in schema || 'pattern' in schema || 'maxLength' in schema) return ['string']
  return ['any']
}

function anyValue(): Values {
  const { value } = fc.letrec<{ value: LosslessValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<LosslessValue>(...otherValues, ...edgeTexts, ...edgeIntegers, ...edgeFloats),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.string({ maxLength: 8 }), tie('value'), { maxKeys: 3, noNullPrototype: true }),
    ),
  }))
  return value
}

function integers(schema: { readonly [keyword: string]: unknown }): Values {
  const least = numberOf(schema.minimum) ?? numberOf(schema.exclusiveMinimum)
  const most = numberOf(schema.maximum) ?? numberOf(schema.exclusiveMaximum)
  const isAllowed = (value: bigint) =>
    (least === undefined || value >= BigInt(Math.ceil(least))) &&
    (most === undefined || value <= BigInt(Math.floor(most)))
  const edges = edgeIntegers.filter((value) => isAllowed(value) && value <= 2n ** 64n - 1n)
  const max = safe(Math.floor(most ?? Math.max(least ?? 0, 2 ** 31 - 1)))
  const small = fc.integer({ min: Math.min(safe(Math.ceil(least ?? 0)), max), max })
  const seconds = fc
    .integer({ min: 1_690_000_000, max: 1_700_000_100 })
    .filter((value) => isAllowed(BigInt(value)))
  const isTime = isAllowed(1_700_000_000n) && most === undefined
  return fc.oneof(
    { weight: 40, arbitrary: small },
    { weight: isTime ? 14 : 0, arbitrary: isTime ? seconds : small },
    { weight: edges.length === 0 ? 0 : 5, arbitrary: fc.constantFrom<LosslessValue>(0, ...edges) },
    { weight: 1, arbitrary: small.map((value) => new JsonFloat(value)) },
  )
}

function numbers(schema: { readonly [keyword: string]: unknown }): Values {
  const least = numberOf(schema.minimum) ?? numberOf(schema.exclusiveMinimum)
  const most = numberOf(schema.maximum) ?? numberOf(schema.exclusiveMaximum)
  const isAllowed = (value: number) =>
    (least === undefined || value >= least) && (most === undefined || value <= most)
  const edges = edgeFloats.filter((value) => isAllowed(value instanceof JsonFloat ? value.value : value))
  const seconds = fc.integer({ min: 1_690_000_000_000, max: 1_700_000_100_000 }).map((ms) => ms / 1000)
  const isTime = isAllowed(1_700_000_000)
  return fc.oneof(
    { weight: 8, arbitrary: integers(schema) },
    { weight: 8, arbitrary: fc.double({ min: least ?? -1e6, max: most ?? 1e6, noNaN: true }) },
    { weight: isTime ? 8 : 0, arbitrary: seconds },
    { weight: edges.length === 0 ? 0 : 3, arbitrary: fc.constantFrom<LosslessValue>(0, ...edges) },
  )
}

function multiples(schema: { readonly [keyword: string]: unknown }, values: Values): Values {
  const step = numberOf(schema.multipleOf) ?? 0
  const limits = { least: numberOf(schema.minimum), most: numberOf(schema.maximum) }
  return step > 0 ? values.map((value) => toMultiple(value, step, limits)) : values
}

function texts(schema: { readonly [keyword: string]: unknown }): Values {
  const least = numberOf(schema.minLength) ?? 0
  const most = numberOf(schema.maxLength) ?? least + 40
  const pattern = typeof schema.pattern === 'string' ? compile(schema.pattern) : undefined
  const fits = (text: string) =>
    text.length >= least &&
    text.length <= (numberOf(schema.maxLength) ?? 1000) &&
    pattern?.test(text) !== false
  const usual =
    usualTexts(schema) ??
    fc.string({ minLength: least, maxLength: Math.max(least, most), unit: 'grapheme-composite' })
  const edges = edgeTexts.filter(fits)
  return fc.oneof(
    { weight: 24, arbitrary: usual },
    { weight: edges.length === 0 ? 0 : 2, arbitrary: fc.constantFrom('', ...edges).filter(fits) },
  )
}

function usualTexts({
  format,
  pattern,
}: {
  readonly [keyword: string]: unknown
}): fc.Arbitrary<string> | undefined {
  if (format === 'date-time')
    return fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .chain((date) => fc.constantFrom(date.toISOString(), date.toISOString().replace(/\.\d+Z$/, 'Z')))
  if (format === 'date')
    return fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10))
  if (format === 'uuid')
    return fc.oneof(
      fc.uuid(),
      fc.uuid().map((uuid) => uuid.replaceAll('-', '')),
      fc.uuid().map((uuid) => uuid.toUpperCase()),
    )
  if (format === 'ipv4') return fc.ipV4()
  if (format === 'ipv6') return fc.ipV6()
  if (format === 'email') return fc.emailAddress()
  if (format === 'uri' || format === 'uri-reference') return fc.webUrl({ withQueryParameters: true })
  return typeof pattern === 'string' ? matching(pattern) : undefined
}

/** fast-check makes texts of most patterns; of one that it cannot, any text will do. */
function matching(pattern: string): fc.Arbitrary<string> | undefined {
  const compiled = compile(pattern)
  if (compiled === undefined) return undefined
  try {
    return fc.stringMatching(compiled, { maxLength: 100 })
  } catch (error) {
    if (error instanceof Error) return undefined
    throw error
  }
}

function compile(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, 'u')
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function safe(value: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(value, Number.MAX_SAFE_INTEGER))
}

function oneOf(all: readonly Values[]): Values {
  return all.length === 0 ? anyValue() : fc.oneof(...all)
}

const present = (value: LosslessValue) => ({ value })

/** A value of the schema's own JSON, which has been through `JSON.parse`. */
function toLossless(value: unknown): LosslessValue {
  if (Array.isArray(value)) return value.map(toLossless)
  if (typeof value === 'object' && value !== null) {
    const object: LosslessObject = Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, toLossless(inner)]),
    )
    return object
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  return isSchemaMap(value) ? value : {}
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value))
}

function isSchemaMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
