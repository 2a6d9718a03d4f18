/** Types of items by number, as the protocol names them. */
export const itemTypes = { span: 1, metric: 8 } as const

const names = [
  'unspecified',
  'span',
  'error',
  'log',
  'uptime_check',
  'uptime_result',
  'replay',
  'occurrence',
  'metric',
  'profile_function',
  'attachment',
  'preprod',
  'user_session',
  'processing_error',
]

const labels = names.map((name) => ({ item_type: name }))
const unspecified = { item_type: 'unspecified' }

/** Labels of a metric: the name of a type. A type that is not known is unspecified. Always the same objects. */
export function itemTypeLabels(type: number): Readonly<{ item_type: string }> {
  return labels[type] ?? unspecified
}
