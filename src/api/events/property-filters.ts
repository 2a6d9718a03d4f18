/**
 * PostHog's property filters on a JSON column, as SQL with parameters. A property that is null is one that is
 * not set. `exact` compares numbers as numbers, and everything else as the text that JSON has for it; the
 * operators with `not` hold for events without the property too.
 */
import { z } from 'zod'
import { invalidInput } from '../problem.ts'
import { plainText } from '../text.ts'

const scalar = z.union([plainText(10_000), z.number(), z.boolean()])

export const propertyFilterSchema = z.object({
  key: plainText(400, 1),
  value: z.union([scalar, z.array(scalar).max(1000), z.null()]).optional(),
  operator: z
    .enum(['exact', 'is_not', 'icontains', 'not_icontains', 'gt', 'gte', 'lt', 'lte', 'is_set', 'is_not_set'])
    .default('exact'),
  type: z.enum(['event', 'person']).default('event'),
})

type Filter = z.output<typeof propertyFilterSchema>
type Scalar = z.output<typeof scalar>
export type SqlConditions = { conditions: string[]; parameters: Record<string, unknown> }

export function propertyFilters(filters: readonly Filter[]): SqlConditions {
  const result: SqlConditions = { conditions: [], parameters: {} }
  for (const [index, filter] of filters.entries()) {
    const { sql, parameters } = condition(filter, index)
    result.conditions.push(`(${sql})`)
    Object.assign(result.parameters, parameters)
  }
  return result
}

const signs: Readonly<Record<string, string>> = { gt: '>', gte: '>=', lt: '<', lte: '<=' }

type Condition = { sql: string; parameters: Record<string, unknown> }

function condition(filter: Filter, index: number): Condition {
  const column = filter.type === 'person' ? 'person_properties' : 'properties'
  const at = `${column}, {key${index}:String}`
  const has = `JSONType(${at}) != 'Null'`
  const text = `if(JSONType(${at}) = 'String', JSONExtractString(${at}), JSONExtractRaw(${at}))`
  const isNumber = `JSONType(${at}) in ('Int64', 'UInt64', 'Double')`
  const parameters: Record<string, unknown> = { [`key${index}`]: filter.key }
  const value = `value${index}`
  const given = Array.isArray(filter.value) ? filter.value : [filter.value ?? '']
  if (filter.operator === 'is_set') return { sql: has, parameters }
  if (filter.operator === 'is_not_set') return { sql: `not (${has})`, parameters }
  if (filter.operator === 'exact' || filter.operator === 'is_not') {
    parameters[value] = given.map(String)
    parameters[`numbers${index}`] = given.flatMap(numberIn)
    const equal = `${has} and if(${isNumber}, JSONExtractFloat(${at}) in {numbers${index}:Array(Float64)}, ${text} in {${value}:Array(String)})`
    return { sql: filter.operator === 'exact' ? equal : `not (${equal})`, parameters }
  }
  if (filter.operator === 'icontains' || filter.operator === 'not_icontains') {
    parameters[value] = String(given[0])
    const contains = `${has} and position(lowerUTF8(${text}), lowerUTF8({${value}:String})) > 0`
    return { sql: filter.operator === 'icontains' ? contains : `not (${contains})`, parameters }
  }
  const [number] = given.flatMap(numberIn)
  if (number === undefined || given.length > 1)
    throw invalidInput(`"properties": the operator ${filter.operator} needs one number.`, 'properties')
  parameters[value] = number
  return {
    sql: `${has} and ifNull(toFloat64OrNull(${text}) ${signs[filter.operator] ?? '='} {${value}:Float64}, 0)`,
    parameters,
  }
}

/** The number that a value is or spells; none for everything else. */
function numberIn(value: Scalar): number[] {
  if (typeof value === 'boolean' || value === '') return []
  const isNumeric = typeof value === 'number' || /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value)
  const number = Number(value)
  return isNumeric && Number.isFinite(number) ? [number] : []
}
