/**
 * Named pipes through which the engine's answers reach HTTP clients: the engine writes a query's whole answer
 * into one in the format asked for, and stops writing when nobody reads. So no answer is ever held in memory,
 * and every format is one document.
 */
import { execFile } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'

export interface Fifo {
  readonly path: string
  /**
   * Begins to read. The stream ends after `finish`, and not before: for some errors the engine closes the pipe and
   * opens it once more, and it would wait for ever to open one that nobody reads.
   */
  open(): { answer: Readable; finish(): void }
}

export interface FifoPool {
  /** A pipe that nobody uses; there are as many as queries may run. */
  take(): { fifo: Fifo; giveBack(): void }
}

/** Makes the pipes in `directory`, which has none yet. */
export async function openFifoPool(options: { directory: string; count: number }): Promise<FifoPool> {
  const paths = Array.from({ length: options.count }, (_, index) =>
    join(options.directory, `answer-${index}`),
  )
  await promisify(execFile)('mkfifo', ['-m', '600', ...paths])
  const free = paths.map(createFifo)
  return {
    take() {
      const fifo = free.pop()
      if (fifo === undefined) throw new Error('More answers than queries may run.')
      let isBack = false
      return {
        fifo,
        giveBack() {
          if (!isBack) free.push(fifo)
          isBack = true
        },
      }
    },
  }
}

function createFifo(path: string): Fifo {
  return {
    path,
    open() {
      const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      // A reader sees the end when the last writer closes: this one keeps it from coming too early.
      let writer: number | undefined = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
      return {
        answer: new Socket({ fd: reader, readable: true, writable: false }),
        finish() {
          if (writer !== undefined) closeSync(writer)
          writer = undefined
        },
      }
    },
  }
}
