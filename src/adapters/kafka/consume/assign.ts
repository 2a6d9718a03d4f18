/**
 * Who of a group's members reads which partitions: each topic spread evenly, and everyone keeps what he has as
 * far as that goes. What is to move is given to nobody until its holder has let it go: that is the cooperative
 * protocol, in which only what moves is ever interrupted.
 */
export type Member = {
  id: string
  topics: readonly string[]
  /** What it says it holds. */
  owned: readonly { topic: string; partition: number }[]
  /** The generation in which it was given that; of two who claim a partition the later one has it. */
  generation: number
}

export type Shares = Map<string, Map<string, number[]>>

/** Partitions of each member by topic. `partitionsOf` counts a topic's partitions; 0 for an unknown topic. */
export function assign(members: readonly Member[], partitionsOf: (topic: string) => number): Shares {
  const shares: Shares = new Map(members.map(({ id }) => [id, new Map()]))
  const ordered = members.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const topics = [...new Set(ordered.flatMap((member) => member.topics))].toSorted()
  const load = new Map(ordered.map(({ id }) => [id, 0]))
  for (const topic of topics) assignTopic({ topic, count: partitionsOf(topic), ordered, load, shares })
  return shares
}

type TopicWork = {
  topic: string
  count: number
  ordered: readonly Member[]
  /** Partitions of all topics so far. */
  load: Map<string, number>
  shares: Shares
}

function assignTopic({ topic, count, ordered, load, shares }: TopicWork): void {
  const readers = ordered.filter((member) => member.topics.includes(topic))
  if (readers.length === 0) return
  const owners = ownersOf(topic, count, ordered)
  const keeping = new Map<string, number[]>(readers.map(({ id }) => [id, []]))
  for (const [partition, owner] of owners) keeping.get(owner)?.push(partition)
  const least = Math.floor(count / readers.length)
  // Those who hold most keep one more where it does not divide evenly; else those who have least to do.
  const byHolding = readers.toSorted(
    (a, b) =>
      (keeping.get(b.id)?.length ?? 0) - (keeping.get(a.id)?.length ?? 0) ||
      (load.get(a.id) ?? 0) - (load.get(b.id) ?? 0),
  )
  const more = new Set(byHolding.slice(0, count % readers.length).map(({ id }) => id))
  const quota = (id: string) => least + (more.has(id) ? 1 : 0)
  const kept = new Set<number>()
  for (const { id } of readers) {
    const keeps = (keeping.get(id) ?? []).toSorted((a, b) => a - b).slice(0, quota(id))
    keeping.set(id, keeps)
    for (const partition of keeps) kept.add(partition)
  }
  for (let partition = 0; partition < count; partition++) {
    if (kept.has(partition)) continue
    const taker = byHolding.findLast(({ id }) => (keeping.get(id)?.length ?? 0) < quota(id))
    if (taker === undefined) continue
    // Counted as the taker's, but still in somebody's hands: it is given in the next round.
    keeping.get(taker.id)?.push(owners.has(partition) ? -1 : partition)
  }
  for (const { id } of readers) {
    const given = (keeping.get(id) ?? []).filter((partition) => partition >= 0)
    load.set(id, (load.get(id) ?? 0) + (keeping.get(id)?.length ?? 0))
    if (given.length > 0) shares.get(id)?.set(topic, given)
  }
}

/** Who holds a partition: of several that say so the one of the latest generation, and nobody on a draw. */
function ownersOf(topic: string, count: number, members: readonly Member[]): Map<number, string> {
  const claims = new Map<number, { id: string; generation: number } | undefined>()
  const latest = new Map<number, number>()
  for (const { id, owned, generation } of members)
    for (const claim of owned) {
      const { partition } = claim
      if (claim.topic !== topic || partition >= count) continue
      const before = latest.get(partition)
      if (before !== undefined && before > generation) continue
      claims.set(partition, before === generation ? undefined : { id, generation })
      latest.set(partition, generation)
    }
  const owners = new Map<number, string>()
  for (const [partition, claim] of claims) if (claim !== undefined) owners.set(partition, claim.id)
  return owners
}
