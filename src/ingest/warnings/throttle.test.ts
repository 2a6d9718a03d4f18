import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { topics } from '../../event/topics.ts'
import { warningsConfig } from '../config.ts'
import type { Warning } from './register.ts'
import { createWarningThrottle } from './throttle.ts'

function setup() {
  const clock = createManualClock(Date.UTC(2026, 0, 2, 3, 4, 5))
  const { metrics } = quietTelemetry()
  return {
    clock,
    metrics,
    throttle: createWarningThrottle({ clock, metrics }, warningsConfig.parse({ intervalMs: 1000 })),
  }
}

const tooOld = (teamId: number, more: Partial<Warning> = {}): Warning => ({
  teamId,
  type: 'event_dropped_too_old',
  details: { ageInSeconds: 9, severity: 'forged' },
  ...more,
})

test('a warning is a row as the warnings topic has it', () => {
  const { throttle } = setup()
  const [record] = throttle.admit([tooOld(4, { pipelineStep: 'too_old' })]).records
  assert.equal(record?.topic, topics.readyWarnings)
  assert.deepEqual(JSON.parse(record?.value.toString() ?? ''), {
    team_id: 4,
    type: 'event_dropped_too_old',
    source: 'ingest',
    details: '{"ageInSeconds":9,"severity":"info","category":"event","pipelineStep":"too_old"}',
    timestamp: '2026-01-02 03:04:05.000000',
  })
})

test('one of each type, team and key goes through in an interval', async () => {
  const { throttle, clock, metrics } = setup()
  const first = throttle.admit([tooOld(1), tooOld(1), tooOld(2), tooOld(1, { key: 's' })])
  assert.equal(first.records.length, 3)
  first.confirm()
  assert.equal(throttle.admit([tooOld(1), tooOld(1, { isAlwaysSent: true })]).records.length, 1)
  await clock.advance(1000)
  assert.equal(throttle.admit([tooOld(1)]).records.length, 1)
  assert.equal(await metrics.value('ingest_warnings_total', { sent: 'false' }), 2)
})

test('what was not settled is sent again', () => {
  const { throttle } = setup()
  assert.equal(throttle.admit([tooOld(1)]).records.length, 1)
  const again = throttle.admit([tooOld(1)])
  assert.equal(again.records.length, 1)
  again.confirm()
  assert.equal(throttle.admit([tooOld(1)]).records.length, 0)
})
