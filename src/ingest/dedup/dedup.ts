/**
 * Exact de-duplication on (token, uuid) within a window, before anything is stored.
 *
 * The ids of a batch are one record of a changelog topic, written in the batch's own commit. So the outputs
 * of the first event, its id, and the move of the position become durable together: after a crash either
 * all of it happened, or the event is read again and is new again. The first one always survives.
 *
 * - `judge` claims new ids in memory at once, so that a second event in another partition's batch is a
 *   duplicate of the one in hand.
 * - `committed` makes claims permanent; `release` gives them up when the lease ends without a commit.
 * - A record never is a duplicate of itself: the same topic, partition and offset seen again is new.
 * - Remember only ids of events that end here. An event that is diverted to another topic comes back from
 *   there with another place: its id must not be among those that are recorded, or it would be dropped.
 *
 * The window lives in the memory of each process, and every process knows the ids of all: it reads the changelog
 * to its end before the first batch of a partition that was leased to it (`catchUp`), and goes on reading while
 * it works. So an id is exact within a partition, also when the partition moves. Two events with one id in two
 * partitions that two processes hold are told apart if they come further apart than `tailIntervalMs` and a batch;
 * what was missed is counted. Capture gives events of one person one key, so equal ids meet in one partition.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../ports/clock.ts'
import type { LogRecord, NewRecord, RecordPosition } from '../../ports/log.ts'
import type { Random } from '../../ports/random.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { decodeChangelog, encodeChangelog, IdRows, rowWords, writerHeader } from './changelog.ts'
import type { DedupConfig } from './config.ts'
import { createFingerprinter, fingerprintWords } from './fingerprint.ts'
import { type ChangelogLog, type ChangelogTail, openChangelogTail } from './tail.ts'
import { IdWindow } from './window.ts'

export type DedupDeps = {
  log: ChangelogLog
  clock: Clock
  metrics: Metrics
  logger: Logger
  /** Where given, the tables' hash is seeded by it, so that nobody can choose ids that collide. */
  random?: Random
}

/** An event's id and the offset of its record. */
export type DedupId = { token: string; uuid: string; offset: number }
export type DedupSource = { topic: string; partition: number }
export type Verdict = { kind: 'new' } | { kind: 'duplicate'; first: RecordPosition }

export interface Dedup {
  /** One verdict per id, in their order. New ids are claimed, also against later ones of the same call. */
  judge(ids: readonly DedupId[], source: DedupSource): Verdict[]
  /** The record to put into the batch's commit; undefined if there is nothing to remember. */
  record(ids: readonly DedupId[], source: DedupSource): NewRecord | undefined
  /** The commit with `record(ids)` is durable. Other claims of the source below `until` are given up. */
  committed(ids: readonly DedupId[], source: DedupSource & { until: number }): void
  /** Gives up all claims of a source that were not committed. */
  release(source: DedupSource): void
  /** Resolves when every id is known that was durable on the log when it was called. Fails with the log's errors. */
  catchUp(): Promise<void>
  /** Learns what other processes have written and can be read now. */
  follow(): Promise<void>
  readonly size: number
  readonly memoryBytes: number
  /** No id that is remembered was written before this time; undefined while there is none. */
  readonly oldestMs: number | undefined
}

/**
 * Reads the changelog of the window back. An abort ends the reading early; the caller is stopping then. `isShared`:
 * other processes write the changelog too.
 */
export async function openDedup(
  deps: DedupDeps,
  config: DedupConfig,
  options: { isShared?: boolean; signal: AbortSignal },
): Promise<Dedup> {
  const seed = deps.random?.bytes(4).readUInt32LE(0) ?? 0x2545f491
  const writer = deps.random?.bytes(8).toString('hex') ?? ''
  const dedup = new WindowDedup(deps, { window: new IdWindow(config, seed), writer })
  const started = deps.clock.monotonic()
  const sinceMs = deps.clock.now() - config.windowMs
  await dedup.open({ sinceMs, isShared: options.isShared ?? false, signal: options.signal })
  deps.logger.info(
    { ids: dedup.size, ms: Math.round(deps.clock.monotonic() - started) },
    'ids of the window are loaded',
  )
  return dedup
}

const isNew: Verdict = { kind: 'new' }
const placesMax = 65_534
/** Own records that may wait to be passed over; beyond it they are looked at like any other's. */
const ownRecordsMax = 10_000

class WindowDedup implements Dedup {
  readonly #window: IdWindow
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #fingerprinter = createFingerprinter()
  readonly #places: DedupSource[] = []
  readonly #placeIndexes = new Map<string, number>()
  /** By place, then by offset: ids that were judged new and are not committed yet. */
  readonly #claims = new Map<number, Map<number, DedupId>>()
  readonly #scratch = new Uint32Array(fingerprintWords)
  readonly #log: ChangelogLog
  /** Names this process on its records; empty where there is no chance to take a name from. */
  readonly #writer: string
  #records = 0
  /** By place, the name of the record of the batch in hand. */
  readonly #inHand = new Map<number, string>()
  /** Names of own records that are durable and known: reading them again would teach nothing. */
  readonly #own = new Set<string>()
  #tail: ChangelogTail | undefined

  constructor(deps: DedupDeps, { window, writer }: { window: IdWindow; writer: string }) {
    this.#log = deps.log
    this.#clock = deps.clock
    this.#metrics = deps.metrics
    this.#window = window
    this.#writer = writer
  }

  async open(options: { sinceMs: number; isShared: boolean; signal: AbortSignal }): Promise<void> {
    const load = (record: LogRecord): void =>
      this.#tail === undefined ? this.#load(record) : this.#learn(record)
    const ports = { log: this.#log, clock: this.#clock }
    this.#tail = await openChangelogTail(ports, { ...options, load })
    this.report()
  }

  async catchUp(): Promise<void> {
    await this.#tail?.catchUp()
  }

  async follow(): Promise<void> {
    await this.#tail?.follow()
  }

  get size(): number {
    return this.#window.size
  }

  get memoryBytes(): number {
    return this.#window.memoryBytes
  }

  get oldestMs(): number | undefined {
    return this.#window.oldestMs
  }

  judge(ids: readonly DedupId[], source: DedupSource): Verdict[] {
    this.#window.moveTo(this.#clock.now())
    const placeIndex = this.#placeIndex(source)
    let claims = this.#claims.get(placeIndex)
    if (claims === undefined) {
      claims = new Map()
      this.#claims.set(placeIndex, claims)
    }
    let duplicates = 0
    const verdicts: Verdict[] = []
    for (const id of ids) {
      const verdict = this.#judgeOne(id, placeIndex, claims)
      if (verdict !== isNew) duplicates++
      verdicts.push(verdict)
    }
    this.#metrics.count('ingest_dedup_total', ids.length - duplicates, { verdict: 'new' })
    this.#metrics.count('ingest_dedup_total', duplicates, { verdict: 'duplicate' })
    return verdicts
  }

  #judgeOne(id: DedupId, placeIndex: number, claims: Map<number, DedupId>): Verdict {
    const words = this.#scratch
    this.#fingerprinter.write(id, words, 0)
    const found = this.#window.find(words, 0)
    if (found === undefined) {
      this.#window.add(words, 0, { placeIndex, offset: id.offset })
      claims.set(id.offset, id)
      return isNew
    }
    if (found.placeIndex === placeIndex && found.offset === id.offset) return isNew
    const place = this.#places[found.placeIndex]
    return {
      kind: 'duplicate',
      first: { topic: place?.topic ?? '', partition: place?.partition ?? 0, offset: found.offset },
    }
  }

  record(ids: readonly DedupId[], source: DedupSource): NewRecord | undefined {
    const placeIndex = this.#placeIndex(source)
    this.#inHand.delete(placeIndex)
    if (ids.length === 0) return undefined
    const rows = IdRows.create(ids.length)
    for (const [row, id] of ids.entries()) {
      this.#fingerprinter.write(id, rows.words, row * rowWords)
      rows.setOffset(row, id.offset)
    }
    const writer = this.#writer === '' ? '' : `${this.#writer}/${this.#records++}`
    if (writer !== '') this.#inHand.set(placeIndex, writer)
    return encodeChangelog(rows, source, { timestampMs: this.#clock.now(), writer })
  }

  committed(ids: readonly DedupId[], source: DedupSource & { until: number }): void {
    const placeIndex = this.#placeIndex(source)
    this.#passOver(placeIndex)
    const claims = this.#claims.get(placeIndex)
    if (claims === undefined) return
    for (const id of ids) claims.delete(id.offset)
    for (const claim of [...claims.values()]) {
      if (claim.offset >= source.until) continue
      claims.delete(claim.offset)
      this.#forget(claim)
    }
    this.report()
  }

  release(source: DedupSource): void {
    const placeIndex = this.#placeIndex(source)
    for (const claim of this.#claims.get(placeIndex)?.values() ?? []) this.#forget(claim)
    this.#claims.delete(placeIndex)
    this.#inHand.delete(placeIndex)
  }

  /** The record of the batch that was committed now need not be read. */
  #passOver(placeIndex: number): void {
    const name = this.#inHand.get(placeIndex)
    this.#inHand.delete(placeIndex)
    if (name !== undefined && this.#own.size < ownRecordsMax) this.#own.add(name)
  }

  #forget(id: DedupId): void {
    this.#fingerprinter.write(id, this.#scratch, 0)
    this.#window.remove(this.#scratch, 0)
  }

  /** Adds what a changelog record says: ids that were new when it was written. */
  #load(record: LogRecord): void {
    const { source, rows } = decodeChangelog(record)
    const placeIndex = this.#placeIndex(source)
    this.#window.moveTo(record.timestampMs)
    for (let row = 0; row < rows.count; row++)
      this.#window.add(rows.words, row * rowWords, { placeIndex, offset: rows.offsetAt(row) })
  }

  /** The same while this process works: what is known already stays, and what two processes have accepted is counted. */
  #learn(record: LogRecord): void {
    const name = record.headers[writerHeader]
    if (typeof name === 'string' && this.#own.delete(name)) return
    const { source, rows } = decodeChangelog(record)
    const placeIndex = this.#placeIndex(source)
    if (this.#inHand.get(placeIndex) === name) this.#inHand.delete(placeIndex)
    this.#window.moveTo(this.#clock.now())
    let twice = 0
    for (let row = 0; row < rows.count; row++) {
      const place = { placeIndex, offset: rows.offsetAt(row) }
      const known = this.#window.find(rows.words, row * rowWords)
      if (known === undefined) this.#window.add(rows.words, row * rowWords, place)
      else if (known.placeIndex !== placeIndex || known.offset !== place.offset) twice++
    }
    if (twice > 0) this.#metrics.count('ingest_dedup_twice_total', twice)
  }

  report(): void {
    this.#metrics.set('ingest_dedup_ids', this.size)
    this.#metrics.set('ingest_dedup_bytes', this.memoryBytes)
  }

  #placeIndex(source: DedupSource): number {
    const name = `${source.partition}/${source.topic}`
    const known = this.#placeIndexes.get(name)
    if (known !== undefined) return known
    const index = this.#places.length
    assert(index < placesMax, 'places fit into 16 bits')
    this.#places.push({ topic: source.topic, partition: source.partition })
    this.#placeIndexes.set(name, index)
    return index
  }
}
