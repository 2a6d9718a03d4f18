import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { computeTimestamp, formatInstant, formatSentAt } from './timestamp.ts'

const nowMs = Date.UTC(2026, 0, 1, 12)
const given = { timestamp: undefined, offsetMs: undefined, sentAtMs: undefined, ignoresSentAt: false, nowMs }
const at = (text: string) => Date.parse(text)

test('the time follows from what the client says, in the order of precedence', () => {
  const timestamp = '2026-01-01T11:00:00Z'
  const vectors: [Partial<Parameters<typeof computeTimestamp>[0]>, string][] = [
    [{}, '2026-01-01T12:00:00Z'],
    [{ sentAtMs: nowMs - 5000 }, '2026-01-01T12:00:00Z'],
    [{ timestamp }, '2026-01-01T11:00:00Z'],
    [{ timestamp, sentAtMs: nowMs + 10_000 }, '2026-01-01T10:59:50Z'],
    [{ timestamp, sentAtMs: nowMs - 10_000 }, '2026-01-01T11:00:10Z'],
    [{ timestamp, sentAtMs: nowMs + 10_000, ignoresSentAt: true }, '2026-01-01T11:00:00Z'],
    [{ timestamp, sentAtMs: nowMs, offsetMs: 5000 }, '2026-01-01T11:59:55Z'],
    [{ offsetMs: -1000 }, '2026-01-01T12:00:01Z'],
    [{ timestamp: 'rubbish', sentAtMs: nowMs + 10_000 }, '2026-01-01T12:00:00Z'],
    [{ timestamp: '2026-01-02T10:59:59Z' }, '2026-01-02T10:59:59Z'],
    [{ timestamp: '2026-01-02T11:00:00Z' }, '2026-01-02T11:00:00Z'],
    [{ timestamp: '2026-01-02T11:00:00.001Z' }, '2026-01-01T12:00:00Z'],
    [{ timestamp: '9999-01-01T00:00:00Z' }, '2026-01-01T12:00:00Z'],
    [{ offsetMs: 1e15 }, '1970-01-01T00:00:00Z'],
    [{ timestamp: '-0005-01-01T00:00:00Z' }, '1970-01-01T00:00:00Z'],
  ]
  for (const [input, expected] of vectors)
    assert.equal(computeTimestamp({ ...given, ...input }), at(expected), JSON.stringify(input))
})

test('whatever comes in, a whole ms within years 0 to 9999 and at most 23 hours ahead comes out', () => {
  const time = fc.option(
    fc.oneof(
      fc.string(),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.bigInt().map(String),
    ),
    { nil: undefined },
  )
  const number = fc.option(fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true })), { nil: undefined })
  fc.assert(
    fc.property(time, number, number, fc.boolean(), (timestamp, offsetMs, sentAtMs, ignoresSentAt) => {
      const ms = computeTimestamp({ timestamp, offsetMs, sentAtMs, ignoresSentAt, nowMs })
      assert.ok(Number.isInteger(ms))
      assert.ok(ms <= nowMs + 23 * 3_600_000)
      assert.match(formatInstant(ms), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/)
    }),
  )
})

test('the skew of the clocks is taken off exactly', () => {
  const ms = fc.integer({ min: -3_600_000, max: 3_600_000 })
  fc.assert(
    fc.property(ms, ms, (age, skew) => {
      const happened = nowMs - Math.abs(age)
      const input = { timestamp: new Date(happened + skew).toISOString(), sentAtMs: nowMs + skew }
      assert.equal(computeTimestamp({ ...given, ...input }), happened)
    }),
  )
})

test('instants are written as PostHog writes them', () => {
  assert.equal(formatInstant(at('2026-01-01T12:00:00Z')), '2026-01-01T12:00:00Z')
  assert.equal(formatInstant(at('2026-01-01T12:00:00.120Z')), '2026-01-01T12:00:00.120Z')
  assert.equal(formatSentAt(at('2026-01-01T12:00:00Z')), '2026-01-01T12:00:00Z')
  assert.equal(formatSentAt(at('2026-01-01T12:00:00.120Z')), '2026-01-01T12:00:00.12Z')
})
