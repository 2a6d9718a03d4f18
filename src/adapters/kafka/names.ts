/** Names of topics and groups on Kafka are ours with a prefix before them; others' names are none of ours. */
export type Names = {
  toWire(name: string): string
  /** Our name, or `undefined` for what does not begin with the prefix. */
  toOurs(name: string): string | undefined
}

export function createNames(prefix: string): Names {
  return {
    toWire: (name) => prefix + name,
    toOurs: (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : undefined),
  }
}
