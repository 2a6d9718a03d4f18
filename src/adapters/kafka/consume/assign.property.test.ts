import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assign, type Member, type Shares } from './assign.ts'

const topics = ['a', 'b', 'c']
const counts = fc.record({ a: fc.nat(12), b: fc.nat(12), c: fc.nat(3) })
const memberships = fc.array(fc.subarray(topics, { minLength: 1 }), { minLength: 1, maxLength: 6 })

function membersOf(subscriptions: readonly (readonly string[])[]): Member[] {
  return subscriptions.map((subscribed, index) => ({
    id: `m${index}`,
    topics: subscribed,
    owned: [],
    generation: -1,
  }))
}

/** What everyone holds after the round: what was not given is let go. */
function after(members: readonly Member[], shares: Shares, generation: number): Member[] {
  return members.map((member) => ({
    ...member,
    generation,
    owned: [...(shares.get(member.id) ?? [])].flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ topic, partition })),
    ),
  }))
}

function placesOf(shares: Shares): string[] {
  return [...shares.values()].flatMap((share) =>
    [...share].flatMap(([topic, partitions]) => partitions.map((partition) => `${topic}/${partition}`)),
  )
}

test('nothing is given to two, or to somebody else while its holder has it', () => {
  fc.assert(
    fc.property(memberships, memberships, counts, (first, then, sizes) => {
      const countOf = (topic: string) => sizes[topic as keyof typeof sizes]
      let members = membersOf(first)
      members = after(members, assign(members, countOf), 1)
      // Some leave, some come, some read other topics now.
      const owned = new Map(members.map((member) => [member.id, member]))
      const changed = membersOf(then).map((member) => ({
        ...(owned.get(member.id) ?? member),
        topics: member.topics,
      }))
      const shares = assign(changed, countOf)
      const given = placesOf(shares)
      assert.equal(new Set(given).size, given.length)
      for (const holder of changed)
        for (const { topic, partition } of holder.owned)
          for (const [id, share] of shares)
            if (id !== holder.id) assert(!share.get(topic)?.includes(partition), 'it waits for its holder')
    }),
  )
})

test('after a few rounds everything is read, as evenly as each topic goes, and nothing moves any more', () => {
  fc.assert(
    fc.property(memberships, memberships, counts, (first, then, sizes) => {
      const countOf = (topic: string) => sizes[topic as keyof typeof sizes]
      const begun = membersOf(first)
      const owned = new Map(after(begun, assign(begun, countOf), 1).map((member) => [member.id, member]))
      let members = membersOf(then).map((member) => ({
        ...(owned.get(member.id) ?? member),
        topics: member.topics,
      }))
      let shares: Shares = new Map()
      for (let round = 2; round < 5; round++) {
        shares = assign(members, countOf)
        members = after(members, shares, round)
      }
      const given = placesOf(shares).toSorted()
      const all = topics.flatMap((topic) =>
        then.some((subscribed) => subscribed.includes(topic))
          ? Array.from({ length: countOf(topic) }, (_, partition) => `${topic}/${partition}`)
          : [],
      )
      assert.deepEqual(given, all.toSorted())
      for (const topic of topics) {
        const loads = members
          .filter((member) => member.topics.includes(topic))
          .map((member) => shares.get(member.id)?.get(topic)?.length ?? 0)
        if (loads.length > 0) assert(Math.max(...loads) - Math.min(...loads) <= 1, 'evenly')
      }
      assert.deepEqual(assign(members, countOf), shares, 'nothing moves any more')
    }),
  )
})

test('of two who say they hold a partition the one of the later generation keeps it', () => {
  const claim = [{ topic: 'a', partition: 0 }]
  const members: Member[] = [
    { id: 'old', topics: ['a'], owned: claim, generation: 3 },
    { id: 'new', topics: ['a'], owned: claim, generation: 4 },
  ]
  assert.deepEqual(
    assign(members, () => 1)
      .get('new')
      ?.get('a'),
    [0],
  )
})
