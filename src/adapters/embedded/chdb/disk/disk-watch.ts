/**
 * Watches over the disk for an engine that does not notice when a write fails: chDB leaves out the error that
 * ClickHouse raises there, so that on a full disk an INSERT is answered as done and a merge is committed although
 * their files are cut off or empty.
 *
 * - The engine counts its failed writes. Whoever has written asks `confirm` before it answers.
 * - After a failed write nothing more is written: merges are stopped, inserts are refused as if the disk were full.
 *   Once there is room, or before the sources of a broken merge are deleted, `end` is called: the next start finds
 *   the broken parts, sets them aside, and takes the sources of merges back.
 * - So that it hardly ever comes to this, merges stop and inserts are refused while the disk has little room left.
 */
import assert from 'node:assert/strict'
import { statfs } from 'node:fs/promises'
import type { Clock } from '../../../../ports/clock.ts'
import type { ChdbConfig } from '../config.ts'
import type { Connection, Engine } from '../engine.ts'
import { failure, type HostFailure } from '../failure.ts'

export interface DiskWatch extends AsyncDisposable {
  /** Throws NOT_ENOUGH_SPACE when a statement that writes may not begin now. */
  admit(): Promise<void>
  /** Throws NOT_ENOUGH_SPACE when any write has failed since the engine was opened: what was written may be broken. */
  confirm(): Promise<void>
  /** The failure as the client should see it: what a broken part causes passes with the next start. */
  explain(failure: HostFailure): HostFailure
}

export type Room = { freeBytes: number; totalBytes: number }

export type DiskWatchContext = {
  engine: Engine
  clock: Clock
  /** On the file system of the engine's folder. */
  room: () => Promise<Room>
  /** Says something to whoever runs Rowmill. */
  report: (line: string) => void
  /** Ends the host at once. */
  end: () => void
}

export type DiskWatchConfig = Pick<
  ChdbConfig,
  'freeBytesMin' | 'freeShareMax' | 'diskCheckIntervalMs' | 'damageMsMax'
>

const failedWrites =
  "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"
/** Merges need more room than inserts, and may wait for longer. */
const mergeFloorFactor = 2
/** Merges go on when there is so much more than where they stop, so that they do not stop and go. */
const mergeAgainFactor = 1.25
/** What reading a broken part ends with. */
const brokenPartCodes = new Set([27, 32, 33, 40, 107, 117, 226, 228, 246])

/** Looks at the disk once, and then again and again until it is disposed. */
export async function openDiskWatch(context: DiskWatchContext, config: DiskWatchConfig): Promise<DiskWatch> {
  const watch = new Watch(context, config)
  await watch.look()
  watch.run()
  return watch
}

/** What the file system of `directory` has for this user. */
export async function roomOf(directory: string): Promise<Room> {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

class Watch implements DiskWatch {
  readonly #context: DiskWatchContext
  readonly #config: DiskWatchConfig
  readonly #connection: Connection
  readonly #closing = new AbortController()
  #last: Promise<unknown> = Promise.resolve()
  #watching: Promise<void> | undefined
  #closed: Promise<void> | undefined
  #damagedAtMs: number | undefined
  #areMergesStopped = false

  constructor(context: DiskWatchContext, config: DiskWatchConfig) {
    this.#context = context
    this.#config = config
    this.#connection = context.engine.connect()
  }

  async admit(): Promise<void> {
    if (this.#damagedAtMs !== undefined) throw afterDamage()
    const room = await this.#context.room()
    if (room.freeBytes < this.#floor(room))
      throw failure('NOT_ENOUGH_SPACE', `The disk has ${room.freeBytes} bytes left.`)
  }

  async confirm(): Promise<void> {
    if (this.#damagedAtMs === undefined && (await this.#countFailedWrites()) > 0) await this.#noteDamage()
    if (this.#damagedAtMs !== undefined) throw afterDamage()
  }

  explain(found: HostFailure): HostFailure {
    return this.#damagedAtMs !== undefined && brokenPartCodes.has(found.code) ? afterDamage() : found
  }

  run(): void {
    this.#watching = this.#watch()
  }

  async #watch(): Promise<void> {
    const { clock, report } = this.#context
    const { signal } = this.#closing
    for (;;) {
      await clock.sleep(this.#config.diskCheckIntervalMs, { signal })
      if (signal.aborted) return
      try {
        await this.look()
      } catch (error) {
        report(`the disk could not be looked at: ${String(error)}`)
      }
    }
  }

  async look(): Promise<void> {
    const { clock, end, report } = this.#context
    const room = await this.#context.room()
    if (this.#damagedAtMs === undefined && (await this.#countFailedWrites()) > 0) await this.#noteDamage()
    const mergeFloor = this.#floor(room) * mergeFloorFactor
    const hasRoom = room.freeBytes >= mergeFloor * mergeAgainFactor
    if (this.#damagedAtMs !== undefined) {
      const isLate = clock.monotonic() - this.#damagedAtMs >= this.#config.damageMsMax
      if (!hasRoom && !isLate) return
      report('it starts anew after failed writes, to set aside what they broke')
      end()
    } else if (room.freeBytes < mergeFloor && !this.#areMergesStopped) {
      await this.#stopMerges()
      report(`merges are stopped: the disk has ${room.freeBytes} bytes left`)
    } else if (hasRoom && this.#areMergesStopped) {
      await this.#ask('SYSTEM START MERGES')
      this.#areMergesStopped = false
      report('merges go on: the disk has room again')
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    await this.#watching
    await this.#connection[Symbol.asyncDispose]()
  }

  #floor({ totalBytes }: Room): number {
    return Math.min(this.#config.freeBytesMin, totalBytes * this.#config.freeShareMax)
  }

  async #noteDamage(): Promise<void> {
    if (this.#damagedAtMs !== undefined) return
    this.#damagedAtMs = this.#context.clock.monotonic()
    this.#context.report('a write has failed, so nothing more is written until there is room on the disk')
    await this.#stopMerges()
  }

  async #stopMerges(): Promise<void> {
    await this.#ask('SYSTEM STOP MERGES')
    this.#areMergesStopped = true
  }

  async #countFailedWrites(): Promise<number> {
    const text = await this.#ask(failedWrites)
    assert(/^\d*$/.test(text), 'the engine counts its failed writes')
    return Number(text)
  }

  /** One after the other: a connection runs one statement at a time. */
  #ask(sql: string): Promise<string> {
    const answer = this.#last.then(async () => {
      const { bytes } = await this.#connection.read(sql)
      return Buffer.from(bytes).toString().trim()
    })
    this.#last = answer.catch(() => undefined)
    return answer
  }
}

function afterDamage(): HostFailure {
  return failure('NOT_ENOUGH_SPACE', 'A write has failed. The engine starts anew when the disk has room.')
}
