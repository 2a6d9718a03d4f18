import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CapturedEvent } from './captured-event.ts'
import { toRecord } from './message.ts'
import { formatInstant } from './timestamp.ts'

const any = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.string({ unit: 'grapheme-composite' }))

test('a message is exactly what JSON.stringify writes of it', () => {
  const time = fc.integer({ min: 0, max: Date.UTC(9999, 0, 1) })
  fc.assert(
    fc.property(
      any,
      any,
      fc.json(),
      time,
      fc.option(any, { nil: undefined }),
      (distinctId, name, json, ms, sentAt) => {
        for (const data of [json, distinctId]) {
          const event: CapturedEvent = {
            uuid: '0196a5c5-7b1c-7000-8000-000000000001',
            distinctId,
            event: name,
            token: 'phc_t',
            ip: '127.0.0.1',
            nowMs: ms,
            sentAt,
            timestampMs: ms + 1,
            data,
            sessionId: null,
            kind: 'analytics',
            isCookieless: true,
            isHistorical: false,
            isPersonProcessingOff: false,
            isHeatmapSplit: false,
          }
          const { value } = toRecord({ event, topic: 'events_plugin_ingestion', key: 'k', headers: {} })
          const plain = {
            uuid: event.uuid,
            distinct_id: distinctId,
            ip: event.ip,
            data,
            now: formatInstant(ms),
            ...(sentAt === undefined ? {} : { sent_at: sentAt }),
            token: event.token,
            event: name,
            timestamp: formatInstant(ms + 1),
            is_cookieless_mode: true,
          }
          assert.equal(value.toString(), JSON.stringify(plain))
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('an instant is written as JavaScript writes it, less a fraction of zero', () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), (ms) => {
      for (const one of [ms, Math.floor(ms / 1000) * 1000])
        assert.equal(formatInstant(one), new Date(one).toISOString().replace('.000Z', 'Z'))
    }),
  )
})
