/** Groups as an operator sees them: where they stand, put somewhere else, forgotten. */
import { deleteGroupsV2, describeGroupsV5, ListOffsetTimestamps, listGroupsV4 } from '@platformatic/kafka'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { GroupPosition, ResetPosition } from '../../../ports/log.ts'
import { commitOffsets, fetchStandings, writeMetadata } from '../consume/standing.ts'
import type { Names } from '../names.ts'
import { ask, check, codeName, isKafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { listOffsets } from './offsets.ts'

const asksMax = 8

export class Groups {
  readonly #cluster: Cluster
  readonly #names: Names

  constructor(cluster: Cluster, names: Names) {
    this.#cluster = cluster
    this.#names = names
  }

  async positions(group?: string): Promise<GroupPosition[]> {
    const groups = group === undefined ? await this.#list() : [this.#names.toWire(group)]
    const rows: GroupPosition[] = []
    for (let at = 0; at < groups.length; at += asksMax) {
      const some = await Promise.all(groups.slice(at, at + asksMax).map((name) => this.#positionsOf(name)))
      rows.push(...some.flat())
    }
    return rows.toSorted(
      (a, b) => a.group.localeCompare(b.group) || a.topic.localeCompare(b.topic) || a.partition - b.partition,
    )
  }

  async #positionsOf(wire: string): Promise<GroupPosition[]> {
    const standings = await fetchStandings(this.#cluster, wire, this.#patience)
    return standings.flatMap(({ topic, partition, position, intended }) => {
      const ours = this.#names.toOurs(topic)
      const group = this.#names.toOurs(wire) ?? wire
      return ours === undefined ? [] : [{ group, topic: ours, partition, position, intended }]
    })
  }

  async #list(): Promise<string[]> {
    return await this.#cluster.patiently('Asking for groups', this.#patience, async () => {
      await this.#cluster.refresh()
      const found: string[] = []
      for (const node of this.#cluster.brokers) {
        const answer = await ask(await this.#cluster.toNode(node), listGroupsV4.api, [], [])
        check(answer.errorCode, 'Asking for groups')
        for (const { groupId, protocolType } of answer.groups) {
          const isConsumers = protocolType === 'consumer' || protocolType === ''
          if (isConsumers && this.#names.toOurs(groupId) !== undefined) found.push(groupId)
        }
      }
      return found
    })
  }

  async reset({ group, topic, partition, offset }: ResetPosition): Promise<void> {
    const wireGroup = this.#names.toWire(group)
    const wireTopic = this.#names.toWire(topic)
    const { leaders } = await this.#cluster.topic(wireTopic, this.#patience)
    if (!Number.isInteger(partition) || partition < 0 || partition >= leaders.length)
      throw new RowmillError('TOPIC_UNKNOWN', `The topic ${topic} has no partition ${partition}.`)
    await this.#refuseInUse(group, wireGroup)
    const places = Array.from(leaders, (_, index) => ({ topic: wireTopic, partition: index }))
    const { EARLIEST, LATEST } = ListOffsetTimestamps
    const place = { topic: wireTopic, partition }
    const [end = 0] = await listOffsets(this.#cluster, [place], { ...this.#patience, timestamp: LATEST })
    if (!Number.isInteger(offset) || offset < 0 || offset > end)
      throw new RowmillError(
        'OFFSET_OUT_OF_RANGE',
        `The offset ${offset} does not lie in ${topic}/${partition}, which ends at ${end}.`,
      )
    const standings = await fetchStandings(this.#cluster, wireGroup, { ...this.#patience, places })
    const known = new Map(standings.map((standing) => [standing.partition, standing]))
    const starts = await listOffsets(this.#cluster, places, { ...this.#patience, timestamp: EARLIEST })
    const resets = (known.get(partition)?.resets ?? 0) + 1
    const fresh = places.filter((other) => other.partition !== partition && !known.has(other.partition))
    const offsets = [
      { ...place, offset, metadata: writeMetadata({ resets }) },
      ...fresh.map((other) => ({
        ...other,
        offset: starts[other.partition] ?? 0,
        metadata: writeMetadata({}),
      })),
    ]
    const nobody = { group: wireGroup, memberId: '', generation: -1, instanceId: null }
    try {
      await commitOffsets(this.#cluster, nobody, { ...this.#patience, offsets })
    } catch (error) {
      if (isKafkaFailure(error, 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS'))
        throw inUse(group)
      throw error
    }
  }

  async forget(group: string): Promise<void> {
    const wire = this.#names.toWire(group)
    await this.#refuseInUse(group, wire)
    const what = `Forgetting the group ${group}`
    const to = { kind: 'group', key: wire } as const
    await this.#cluster.askCoordinator(to, { what, ...this.#patience }, async (connection) => {
      const answer = await ask(connection, deleteGroupsV2.api, [wire])
      const code = codeName(answer.results[0]?.errorCode ?? 0)
      if (code === 'GROUP_ID_NOT_FOUND') return
      if (code === 'NON_EMPTY_GROUP') throw inUse(group)
      check(answer.results[0]?.errorCode ?? 0, what)
    })
  }

  async #refuseInUse(group: string, wire: string): Promise<void> {
    const what = `Asking who reads for ${group}`
    const to = { kind: 'group', key: wire } as const
    await this.#cluster.askCoordinator(to, { what, ...this.#patience }, async (connection) => {
      const answer = await ask(connection, describeGroupsV5.api, [wire], false)
      const [found] = answer.groups
      if (found === undefined || codeName(found.errorCode) === 'GROUP_ID_NOT_FOUND') return
      check(found.errorCode, what)
      if (found.members.length > 0) throw inUse(group)
    })
  }

  get #patience() {
    return { withinMs: this.#cluster.config.operationTimeoutMs }
  }
}

function inUse(group: string): RowmillError {
  return new RowmillError('GROUP_IN_USE', `The group ${group} has a consumer: stop it first.`)
}
