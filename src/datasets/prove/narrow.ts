/** What keywords of a JSON Schema that only narrow further ask of a value that has been made: `not`, `multipleOf`. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as fc from 'fast-check'
import { JsonFloat, type LosslessValue, stringifyLossless } from '../../std/lossless-json.ts'

/** Whether a value is valid. */
export type Fits = (value: LosslessValue) => boolean

const rootId = 'rowmill:root'
/** So many values are made where one is wanted, because some do not fit. */
const tries = 6

/** Makes checks of parts of a schema. References in them are such into the whole. */
export function createChecks(root: unknown): (part: unknown) => Fits {
  const ajv = new Ajv2020({ strict: false, validateSchema: false, validateFormats: false, logger: false })
  if (typeof root === 'object' && root !== null) {
    const { $schema: _, $id: __, ...whole } = { $schema: undefined, $id: undefined, ...root }
    ajv.addSchema({ ...whole, $id: rootId })
  }
  return (part) => {
    const validate = ajv.compile({ allOf: [referringTo(part)] })
    return (value) => validate(JSON.parse(stringifyLossless(value)))
  }
}

/** A part of a schema whose references name the whole. */
function referringTo(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(referringTo)
  if (typeof part !== 'object' || part === null) return part
  return Object.fromEntries(
    Object.entries(part).map(([keyword, value]) => [
      keyword,
      keyword === '$ref' && typeof value === 'string' && value.startsWith('#')
        ? `${rootId}${value}`
        : referringTo(value),
    ]),
  )
}

/** Values that fit, if some of a few do. */
export function thoseThat(fits: Fits, values: fc.Arbitrary<LosslessValue>): fc.Arbitrary<LosslessValue> {
  return fc
    .tuple(values, fc.array(values, { minLength: tries, maxLength: tries }))
    .map(([first, others]) => [first, ...others].find(fits) ?? first)
}

/** The multiple of `step` that is near a number, and within its limits if one is. */
export function toMultiple(
  value: LosslessValue,
  step: number,
  { least = -Infinity, most = Infinity }: { least?: number | undefined; most?: number | undefined },
): LosslessValue {
  if (typeof value === 'bigint') {
    if (!Number.isSafeInteger(step)) return toMultiple(Number(value), step, { least, most })
    const below = value - (value % BigInt(step))
    return below < least ? below + BigInt(step) : below
  }
  if (value instanceof JsonFloat) {
    const multiple = toMultiple(value.value, step, { least, most })
    return typeof multiple === 'number' ? new JsonFloat(multiple) : multiple
  }
  if (typeof value !== 'number') return value
  const count = Math.trunc(value / step)
  const inside = [count, count + 1, count - 1].find((times) => times * step >= least && times * step <= most)
  return (inside ?? count) * step
}
