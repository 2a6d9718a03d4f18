/**
 * What a child prints goes to the log line by line, bounded in length and in lines per second; the last few
 * lines are kept to explain why it ended. A line is cut at `lineCharsMax`; lines beyond `linesPerSecondMax`
 * are counted and the count is logged.
 */
import type { Readable } from 'node:stream'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../telemetry/logger.ts'

export type LineLevel = 'debug' | 'info' | 'warn' | 'error'

const limits = { lineCharsMax: 4000, linesPerSecondMax: 200, linesKeptMax: 20 }

export interface LineLog {
  read(stream: Readable): void
  /** The last lines that came, oldest first. */
  last(): readonly string[]
}

export function createLineLog(
  context: { clock: Clock; logger: Logger },
  levelOf: (line: string) => LineLevel | undefined = () => 'info',
): LineLog {
  const { clock, logger } = context
  const kept: string[] = []
  let second = Math.floor(clock.monotonic() / 1000)
  let linesInSecond = 0
  let linesLeftOut = 0

  const isWithinRate = (): boolean => {
    const now = Math.floor(clock.monotonic() / 1000)
    if (now !== second) {
      if (linesLeftOut > 0)
        logger.warn({ linesLeftOut }, 'A child process printed more than is logged; lines were left out.')
      second = now
      linesInSecond = 0
      linesLeftOut = 0
    }
    linesInSecond += 1
    if (linesInSecond <= limits.linesPerSecondMax) return true
    linesLeftOut += 1
    return false
  }

  const take = (line: string): void => {
    if (line.trim() === '') return
    kept.push(line)
    if (kept.length > limits.linesKeptMax) kept.shift()
    const level = levelOf(line)
    if (level !== undefined && isWithinRate()) logger[level]({ line }, 'A child process printed a line.')
  }

  return {
    last: () => [...kept],
    read(stream) {
      let open = ''
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        const pieces = text.split('\n')
        for (const [index, piece] of pieces.entries()) {
          open = (open + piece).slice(0, limits.lineCharsMax)
          if (index === pieces.length - 1) break
          take(open)
          open = ''
        }
      })
      stream.once('end', () => take(open))
      stream.on('error', (error) => logger.warn({ error }, 'The output of a child process broke off.'))
    },
  }
}
