/**
 * The transactional producers of this process. Commits take turns on them; those of one member of a group that
 * wait at the same time share a transaction, so that many partitions cost little more than one.
 */
import { isRowmillError } from '../../../errors/rowmill-error.ts'
import { isKafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { type Transaction, Transactor } from './transactor.ts'

type Commit = Transaction & {
  resolve(): void
  reject(error: unknown): void
}

/** Bytes of records in one transaction that more commits may join. */
const sharedBytesMax = 8 * 1024 * 1024

export class Transactions implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #name: string
  readonly #idle: Transactor[] = []
  readonly #waiting: Commit[] = []
  readonly #running = new Set<Promise<void>>()
  #made = 0
  #isClosing = false

  /** `name` begins the ids of the producers: nobody else may use it. */
  constructor(cluster: Cluster, name: string) {
    this.#cluster = cluster
    this.#name = name
  }

  /** See `Transactor.run` for how it fails. */
  run(transaction: Transaction): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ ...transaction, resolve, reject })
    this.#next()
    return promise
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const transactor = this.#take()
      if (transactor === undefined) return
      const running = this.#serve(transactor, this.#takeCommits()).finally(() => {
        this.#running.delete(running)
        this.#idle.push(transactor)
        this.#next()
      })
      this.#running.add(running)
    }
  }

  /** The one that has rested longest: the coordinator may still be finishing what the others did last. */
  #take(): Transactor | undefined {
    if (this.#made < this.#cluster.config.transactionsMax) {
      const number = this.#made++
      return new Transactor(this.#cluster, `${this.#name}-${number}`, `transaction${number}`)
    }
    return this.#idle.shift()
  }

  /** The oldest commit, and those that may go with it. */
  #takeCommits(): Commit[] {
    const taken: Commit[] = []
    let bytes = 0
    for (let index = 0; index < this.#waiting.length; ) {
      const commit = this.#waiting[index]
      const [first] = taken
      const isFitting = commit !== undefined && (first === undefined || isSameMember(first, commit))
      const more = commit === undefined ? 0 : bytesOf(commit)
      if (commit === undefined || !isFitting || (first !== undefined && bytes + more > sharedBytesMax))
        index++
      else {
        bytes += more
        taken.push(commit)
        this.#waiting.splice(index, 1)
      }
    }
    return taken
  }

  async #serve(transactor: Transactor, commits: readonly Commit[]): Promise<void> {
    const [first] = commits
    if (first === undefined) return
    const { clock, metrics } = this.#cluster.context
    const startedMs = clock.monotonic()
    try {
      await transactor.run({
        member: first.member,
        offsets: commits.flatMap(({ offsets }) => offsets),
        records: commits.flatMap(({ records }) => records),
      })
      const records = commits.reduce((sum, commit) => sum + commit.records.length, 0)
      metrics.observe('log_kafka_commit_seconds', (clock.monotonic() - startedMs) / 1000)
      metrics.count('log_kafka_appended_records_total', records)
      for (const commit of commits) commit.resolve()
    } catch (error) {
      // One record that is too large is the fault of one of them: alone each learns about itself.
      if (commits.length > 1 && isRowmillError(error, 'RECORD_TOO_LARGE'))
        for (const commit of commits) await this.#serve(transactor, [commit])
      else for (const commit of commits) commit.reject(error)
      await this.#mend(transactor)
    }
  }

  /** What was left open is ended now rather than when its time is over. */
  async #mend(transactor: Transactor): Promise<void> {
    if (transactor.isReady || this.#isClosing) return
    try {
      await transactor.register()
    } catch (failure) {
      if (!isRowmillError(failure) && !isKafkaFailure(failure)) throw failure
      this.#cluster.context.logger.debug({ error: failure }, 'A transaction on Kafka is left to time out')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}

function isSameMember({ member: one }: Commit, { member: other }: Commit): boolean {
  return one.group === other.group && one.memberId === other.memberId && one.generation === other.generation
}

function bytesOf({ records }: Commit): number {
  return records.reduce((sum, { bytes }) => sum + bytes, 0)
}
