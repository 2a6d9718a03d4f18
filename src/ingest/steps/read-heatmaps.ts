import { topics } from '../../event/topics.ts'
import { hasHeatmapData, readHeatmap } from '../heatmaps.ts'
import { eachEvent, endEvent, type Step, warn } from '../work.ts'

/**
 * Exits: drop `heatmap_only` and `invalid_heatmap` for `$$heatmap`, which is never a row of its own. Another
 * event goes on without its heatmap data, usable or not. A project may have heatmaps off: then there are no rows.
 */
export function createReadHeatmapsStep(): Step {
  return eachEvent('read_heatmaps', (work, event) => {
    const isHeatmapEvent = event.event === '$$heatmap'
    const isRead = event.team.isHeatmapOn && (isHeatmapEvent || !event.isHeatmapSplit)
    const reading = isRead && hasHeatmapData(event.properties) ? readHeatmap(event) : undefined
    delete event.properties.$heatmap_data
    for (const row of reading?.rows ?? [])
      work.records.push({
        topic: topics.readyHeatmaps,
        key: event.uuid,
        value: Buffer.from(JSON.stringify(row)),
      })
    for (const warning of reading?.warnings ?? []) warn(work, event, warning)
    if (!isHeatmapEvent) return
    const problem = reading?.problem
    if (problem !== undefined)
      endEvent(work, event, { kind: 'drop', reason: 'invalid_heatmap', details: { problem } })
    else {
      const details = { rows: reading?.rows.length ?? 0 }
      endEvent(work, event, { kind: 'drop', reason: 'heatmap_only', details })
    }
  })
}
