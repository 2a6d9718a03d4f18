/** PostHog's property filters on a JSON column, as SQL with parameters. */
import { z } from 'zod'

export const propertyFilterSchema = z.object({
  key: z.string().min(1).max(400),
  value: z
    .union([
      z.string(),
      z.number(),
      z.boolean(),
      z.array(z.union([z.string(), z.number(), z.boolean()])).max(1000),
      z.null(),
    ])
    .optional(),
  operator: z
    .enum(['exact', 'is_not', 'icontains', 'not_icontains', 'gt', 'gte', 'lt', 'lte', 'is_set', 'is_not_set'])
    .default('exact'),
  type: z.string().optional(),
})

type Filter = z.output<typeof propertyFilterSchema>
export type SqlConditions = { conditions: string[]; parameters: Record<string, unknown> }

export function propertyFilters(
  column: 'properties' | 'person_properties',
  filters: readonly Filter[],
): SqlConditions {
  const result: SqlConditions = { conditions: [], parameters: {} }
  for (const [index, filter] of filters.entries()) {
    const key = `key${index}`
    const value = `value${index}`
    const text = `if(JSONType(${column}, {${key}:String}) = 'String', JSONExtractString(${column}, {${key}:String}), JSONExtractRaw(${column}, {${key}:String}))`
    result.parameters[key] = filter.key
    result.conditions.push(condition(filter, { text, has: `JSONHas(${column}, {${key}:String})`, value }))
    const given = filter.value ?? ''
    if (filter.operator === 'exact' || filter.operator === 'is_not')
      result.parameters[value] = (Array.isArray(given) ? given : [given]).map(String)
    else if (filter.operator !== 'is_set' && filter.operator !== 'is_not_set')
      result.parameters[value] = numeric.has(filter.operator) ? Number(given) : String(given)
  }
  return result
}

const numeric: ReadonlySet<string> = new Set(['gt', 'gte', 'lt', 'lte'])
const signs: Readonly<Record<string, string>> = { gt: '>', gte: '>=', lt: '<', lte: '<=' }

function condition(filter: Filter, sql: { text: string; has: string; value: string }): string {
  if (filter.operator === 'is_set') return sql.has
  if (filter.operator === 'is_not_set') return `not ${sql.has}`
  if (filter.operator === 'exact') return `${sql.text} in {${sql.value}:Array(String)}`
  if (filter.operator === 'is_not') return `${sql.text} not in {${sql.value}:Array(String)}`
  if (filter.operator === 'icontains')
    return `positionCaseInsensitiveUTF8(${sql.text}, {${sql.value}:String}) > 0`
  if (filter.operator === 'not_icontains')
    return `positionCaseInsensitiveUTF8(${sql.text}, {${sql.value}:String}) = 0`
  return `toFloat64OrNull(${sql.text}) ${signs[filter.operator] ?? '='} {${sql.value}:Float64}`
}
