/**
 * Side by side where the keys differ, one after the other where they are the same: the order of a key is
 * kept, and at most `concurrencyMax` calls run at once.
 */
export type MapKeyedOptions<Item> = {
  key: (item: Item) => string
  concurrencyMax: number
  signal: AbortSignal
}

/**
 * Results in the order of the items. The first failure ends the map: no further call is begun, those in
 * flight are waited for, then it is thrown. A caller that wants errors as values returns them as results.
 * An abort likewise: what is in flight ends, then the signal's reason is thrown.
 */
export async function mapKeyed<Item, Result>(
  items: readonly Item[],
  options: MapKeyedOptions<Item>,
  call: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const chains = chainsOf(items, options.key)
  const results = new Map<number, Result>()
  const failures: unknown[] = []

  const runChains = async (): Promise<void> => {
    for (let chain = chains.shift(); chain !== undefined; chain = chains.shift())
      for (const [item, index] of chain) {
        if (failures.length > 0 || options.signal.aborted) return
        try {
          results.set(index, await call(item, index))
        } catch (error) {
          failures.push(error)
        }
      }
  }

  const lanes = Math.min(Math.max(1, options.concurrencyMax), chains.length)
  await Promise.all(Array.from({ length: lanes }, runChains))
  if (failures.length > 0) throw failures[0]
  options.signal.throwIfAborted()
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result)
}

function chainsOf<Item>(items: readonly Item[], key: (item: Item) => string): [Item, number][][] {
  const chains = new Map<string, [Item, number][]>()
  for (const [index, item] of items.entries()) {
    const name = key(item)
    const chain = chains.get(name)
    if (chain === undefined) chains.set(name, [[item, index]])
    else chain.push([item, index])
  }
  return [...chains.values()]
}
