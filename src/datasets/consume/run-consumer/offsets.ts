/** Where a consumer begins, and when it is done. */
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { Clock } from '../../../ports/clock.ts'
import type { GroupPosition, Log, TopicDescription } from '../../../ports/log.ts'
import { resetCommand } from '../../../stream/partition.ts'
import type { StreamLog } from '../../../stream/stream.ts'

export type Reader = { group: string; topic: string }

export type OffsetRules = {
  offsetReset: 'earliest' | 'latest' | 'error'
  isOffsetResetStrict: boolean
}

/**
 * Looks at a group's positions before it joins. `error` refuses to begin without one. Where it is not strict
 * and `latest` is wanted, a position that retention has overtaken is moved to the end; with `earliest` the log
 * itself goes on at its start. Whatever else is out of range ends the run when the partition is taken.
 */
export async function prepareOffsets(
  log: Pick<Log, 'describe' | 'positions' | 'reset'>,
  reader: Reader,
  { offsetReset, isOffsetResetStrict }: OffsetRules,
): Promise<void> {
  const { known, bounds } = await standingsOf(log, reader)
  if (offsetReset === 'error' && known.length === 0)
    throw new RowmillError(
      'OFFSET_OUT_OF_RANGE',
      `Group ${reader.group} has no position in ${reader.topic}, and offsetReset is error. To begin with what is there, run: ${resetCommand(reader.group, reader.topic)}`,
    )
  if (offsetReset !== 'latest' || isOffsetResetStrict) return
  for (const { partition, position } of known) {
    const bound = bounds[partition]
    if (bound !== undefined && position < bound.start)
      await log.reset({ ...reader, partition, offset: bound.end })
  }
}

/** What a run that ends by itself waits for. */
export type Goal = { stopAtSeconds: number | undefined; signal: AbortSignal }

const lookIntervalMs = 100

/**
 * Resolves when all that was there at the call is settled, or all up to the second at which to stop, once that
 * has passed; or when the signal aborts.
 */
export async function untilDone(
  ports: { log: StreamLog; readable: Pick<Log, 'offsetAt'>; clock: Clock },
  reader: Reader,
  { stopAtSeconds, signal }: Goal,
): Promise<void> {
  const { log, readable, clock } = ports
  const first = await standingsOf(log, reader)
  while (!signal.aborted) {
    const { known, bounds } = await standingsOf(log, reader)
    const targets = await Promise.all(
      bounds.map(async ({ end }, partition) => {
        if (stopAtSeconds === undefined) return first.bounds[partition]?.end ?? 0
        const lateFrom = await readable.offsetAt(reader.topic, partition, (stopAtSeconds + 1) * 1000)
        return Math.min(end, lateFrom)
      }),
    )
    const isOver = stopAtSeconds === undefined || clock.now() >= (stopAtSeconds + 1) * 1000
    const isReached = (target: number, partition: number) =>
      target <= (known.find((one) => one.partition === partition)?.position ?? -1)
    if (isOver && targets.every(isReached)) return
    await clock.sleep(lookIntervalMs, { signal })
  }
}

type Standings = { known: GroupPosition[]; bounds: TopicDescription['bounds'] }

async function standingsOf(
  log: Pick<Log, 'describe' | 'positions'>,
  { group, topic }: Reader,
): Promise<Standings> {
  const known = (await log.positions(group)).filter((one) => one.topic === topic)
  const described = (await log.describe()).find(({ name }) => name === topic)
  return { known, bounds: described?.bounds ?? [] }
}
