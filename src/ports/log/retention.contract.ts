/** Retention: what is old and settled goes, and never the unsettled. */
import assert from 'node:assert/strict'
import type { Log } from '../log.ts'
import { type Check, dayMs, note, settle, texts, topic } from './harness.contract.ts'

export function exerciseRetention(check: Check): void {
  const small = { smallSegments: true }
  check(
    'retention deletes what is old and settled, and never the unsettled',
    async (harness) => {
      const { log, passTime } = harness
      if (passTime === undefined) return 'others delete the records of this log'
      await log.ensureTopics([topic('t', 1, 1000), topic('free', 1, 1000), topic('kept', 1, dayMs)])
      await settle(log, { group: 'g', topic: 't', until: 0 })
      for (let at = 0; at < 200; at++)
        await log.append([
          note('t', `${at}`.padEnd(500)),
          note('free', `${at}`.padEnd(200)),
          note('kept', `${at}`),
        ])
      await passTime(5000)
      assert.equal(await startOf(log, 't'), 0)
      assert.ok((await startOf(log, 'free')) > 100)
      assert.deepEqual((await texts(log, 'kept', 0)).length, 200)
      await settle(log, { group: 'g', topic: 't', until: 150 })
      await passTime(5000)
      const start = await startOf(log, 't')
      assert.ok(start > 50 && start <= 150, `start ${start}`)
      const left = await texts(log, 't', 0)
      assert.equal(left[0]?.trim(), String(start))
      assert.equal(left.length, 200 - start)
      const again = await harness.reopen()
      assert.equal((await texts(again, 'kept', 0)).length, 200)
      assert.equal((await texts(again, 't', 0)).at(-1)?.trim(), '199')
      assert.equal((await again.append([note('t', 'next')]))[0]?.offset, 200)
      return undefined
    },
    small,
  )
}

async function startOf(log: Log, name: string): Promise<number> {
  return (await log.describe()).find((each) => each.name === name)?.bounds[0]?.start ?? -1
}
