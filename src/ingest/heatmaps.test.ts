import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedNowMs, capturedRecord } from '../../test/support/captured-records.ts'
import { teamRow } from '../../test/support/ingest-fakes.ts'
import { hasHeatmapData, readHeatmap } from './heatmaps.ts'
import { decodeRecord, type IncomingEvent, type Properties } from './incoming-event.ts'
import { toTeam } from './teams.ts'

const viewport = { $viewport_height: 800, $viewport_width: 1000, $session_id: 's1' }
const point = { x: 100, y: 205, target_fixed: false, type: 'click' }

function event(properties: Properties, distinctId = 'ann'): IncomingEvent {
  const decoded = decodeRecord(capturedRecord({ properties, distinctId, event: '$$heatmap' }), 0)
  return {
    ...decoded,
    team: toTeam(teamRow()),
    timeMs: capturedNowMs,
    processing: 'on',
    isProcessingExplicit: false,
  }
}

test('points are kept in cells of sixteen pixels under the address they belong to', () => {
  const { rows, warnings, problem } = readHeatmap(
    event({ ...viewport, $heatmap_data: { 'https://a.org/': [point] } }),
  )
  assert.deepEqual(rows, [
    {
      type: 'click',
      x: 6,
      y: 13,
      pointer_target_fixed: false,
      viewport_height: 50,
      viewport_width: 63,
      current_url: 'https://a.org/',
      session_id: 's1',
      scale_factor: 16,
      timestamp: '2026-01-15 12:00:00.000000',
      team_id: 1,
      distinct_id: 'ann',
    },
  ])
  assert.deepEqual([warnings, problem], [[], undefined])
})

test('how far the page before was scrolled is a point of that page', () => {
  const properties = {
    ...viewport,
    $current_url: 'https://a.org/now?x=1',
    $prev_pageview_pathname: '/before',
    $prev_pageview_max_scroll: 320,
    $heatmap_data: { 'https://a.org/before?x=1': [point] },
  }
  const { rows } = readHeatmap(event(properties))
  assert.deepEqual(
    rows.map(({ type, y, current_url }) => ({ type, y, current_url })),
    [
      { type: 'click', y: 13, current_url: 'https://a.org/before?x=1' },
      { type: 'scrolldepth', y: 20, current_url: 'https://a.org/before?x=1' },
    ],
  )
  assert.deepEqual(
    properties.$heatmap_data,
    { 'https://a.org/before?x=1': [point] },
    'the event is not changed',
  )
})

test('unusable parts are left out with a warning, unusable points without', () => {
  const { rows, warnings } = readHeatmap(
    event({
      ...viewport,
      $heatmap_data: {
        ' ': [point],
        'https://a.org/x': 'no list',
        'https://a.org/y': [{ ...point, x: '1' }, null, { ...point, type: ' ' }, { ...point, x: 1e9 }],
      },
    }),
  )
  assert.deepEqual(
    rows.map((row) => row.x),
    [32_767],
  )
  assert.deepEqual(
    warnings.map((warning) => warning.type),
    ['rejecting_heatmap_data_with_invalid_url', 'rejecting_heatmap_data_with_invalid_items'],
  )
})

test('what cannot give any row says why', () => {
  const problemOf = (properties: Properties, id?: string) => readHeatmap(event(properties, id)).problem
  const data = { $heatmap_data: { 'https://a.org/': [point] } }
  assert.match(problemOf({ ...viewport, ...data }, 'null') ?? '', /nobody/)
  assert.match(problemOf({ ...data, $viewport_height: '800' }) ?? '', /viewport/)
  assert.match(problemOf({ ...viewport, $heatmap_data: 'text' }) ?? '', /cannot be read/)
  const badUrl = { ...viewport, $current_url: 'not an address', $prev_pageview_pathname: '/x' }
  assert.match(problemOf(badUrl) ?? '', /cannot be read/)
  assert.equal(hasHeatmapData({ $heatmap_data: null }), false)
})
