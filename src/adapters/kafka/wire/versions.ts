/** The requests that are made, and the version of each: what every Kafka since 2.8 understands. */
import { apiVersionsV3, type Connection } from '@platformatic/kafka'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import { ask, check } from './answers.ts'

const needed: readonly (readonly [name: string, key: number, version: number])[] = [
  ['Produce', 0, 9],
  ['Fetch', 1, 12],
  ['ListOffsets', 2, 6],
  ['Metadata', 3, 9],
  ['OffsetCommit', 8, 8],
  ['OffsetFetch', 9, 7],
  ['FindCoordinator', 10, 3],
  ['JoinGroup', 11, 7],
  ['Heartbeat', 12, 4],
  ['LeaveGroup', 13, 4],
  ['SyncGroup', 14, 5],
  ['DescribeGroups', 15, 5],
  ['ListGroups', 16, 4],
  ['CreateTopics', 19, 5],
  ['InitProducerId', 22, 4],
  ['AddPartitionsToTxn', 24, 3],
  ['AddOffsetsToTxn', 25, 3],
  ['EndTxn', 26, 3],
  ['TxnOffsetCommit', 28, 3],
  ['DescribeConfigs', 32, 4],
  ['CreatePartitions', 37, 3],
  ['DeleteGroups', 42, 2],
]

const ourName = 'rowmill'
const ourVersion = '0'

/** Fails with `CONFIG_INVALID` where the broker does not understand what we say. */
export async function checkVersions(connection: Connection): Promise<void> {
  const answer = await ask(connection, apiVersionsV3.api, ourName, ourVersion)
  check(answer.errorCode, 'Asking for versions')
  const offered = new Map(answer.apiKeys.map((api) => [api.apiKey, api]))
  const missing = needed.filter(([, key, version]) => {
    const api = offered.get(key)
    return api === undefined || version < api.minVersion || version > api.maxVersion
  })
  if (missing.length > 0)
    throw new RowmillError(
      'CONFIG_INVALID',
      `The brokers at kafka.hosts do not understand ${missing.map(([name, , version]) => `${name} v${version}`).join(', ')}: use Kafka 2.8 or newer.`,
    )
}
