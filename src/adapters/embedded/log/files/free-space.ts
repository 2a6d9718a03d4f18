/**
 * What the file system has left for appends. They stop before it is full, so that what is behind the log can finish
 * what was accepted: commits, and the engines that share the disk.
 */
import type { Clock } from '../../../../ports/clock.ts'
import type { Logger } from '../../../../telemetry/logger.ts'
import type { EmbeddedLogConfig } from '../config.ts'
import type { Disk } from './disk.ts'

type FreeSpaceDeps = { disk: Disk; directory: string; clock: Clock; logger: Logger }
type FreeSpaceConfig = Pick<EmbeddedLogConfig, 'freeBytesMin' | 'freeShareMax' | 'freeCheckIntervalMs'>

export class FreeSpace {
  readonly #deps: FreeSpaceDeps
  readonly #config: FreeSpaceConfig
  #lookedAt = Number.NEGATIVE_INFINITY
  #freeBytes = Number.POSITIVE_INFINITY
  #floorBytes = 0

  constructor(deps: FreeSpaceDeps, config: FreeSpaceConfig) {
    this.#deps = deps
    this.#config = config
  }

  /** Looks again when the last look is old. Nobody waits for it: appends keep their order and their speed. */
  freshen(): void {
    const { clock, logger } = this.#deps
    if (clock.monotonic() - this.#lookedAt < this.#config.freeCheckIntervalMs) return
    this.look().catch((error: unknown) => logger.warn({ error }, 'the free disk space could not be seen'))
  }

  /** Whether appends must wait, as of the last look. */
  get isShort(): boolean {
    return this.#freeBytes < this.#floorBytes
  }

  /** Why appends are refused. */
  get says(): string {
    return `The disk that holds the log is almost full: ${this.#freeBytes} bytes are left.`
  }

  async look(): Promise<void> {
    const { disk, directory, clock } = this.#deps
    // First, so that the appends of a moment look once.
    this.#lookedAt = clock.monotonic()
    const { freeBytes, totalBytes } = await disk.room(directory)
    this.#freeBytes = freeBytes
    this.#floorBytes = Math.min(this.#config.freeBytesMin, totalBytes * this.#config.freeShareMax)
  }
}
