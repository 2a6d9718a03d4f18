/** The `options` of a v1 event, read generously: what can be understood in one way is. */
export type V1Options = {
  cookielessMode?: boolean
  disableSkewCorrection?: boolean
  processPersonProfile?: boolean
  productTourId?: string
}

/** `undefined` where one of the known options cannot be understood. Unknown ones and nulls are ignored. */
export function readOptions(value: unknown): V1Options | undefined {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) return undefined
  const given: Readonly<Record<string, unknown>> = { ...value }
  const cookielessMode = readFlag(given.cookieless_mode)
  const disableSkewCorrection = readFlag(given.disable_skew_correction)
  const processPersonProfile = readFlag(given.process_person_profile)
  const productTourId = readText(given.product_tour_id)
  if (cookielessMode === unreadable || disableSkewCorrection === unreadable) return undefined
  if (processPersonProfile === unreadable || productTourId === unreadable) return undefined
  return {
    ...(cookielessMode === undefined ? {} : { cookielessMode }),
    ...(disableSkewCorrection === undefined ? {} : { disableSkewCorrection }),
    ...(processPersonProfile === undefined ? {} : { processPersonProfile }),
    ...(productTourId === undefined ? {} : { productTourId }),
  }
}

const unreadable = Symbol('unreadable')

function readFlag(value: unknown): boolean | undefined | typeof unreadable {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return value !== 0
  if (typeof value !== 'string') return unreadable
  const word = value.trim().toLowerCase()
  if (word === 'true' || word === '1') return true
  return word === 'false' || word === '0' ? false : unreadable
}

function readText(value: unknown): string | undefined | typeof unreadable {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  return typeof value === 'number' && Number.isInteger(value) ? String(value) : unreadable
}
