/**
 * Adds up what a processor counts in a batch, so that a counter is one number on its way between threads and
 * not one object for each message. Labels are told apart as objects: a processor that counts often keeps its
 * labels, and for one that makes them anew each time nothing is added up and nothing is lost.
 */
import type { Count } from './messages.ts'

export type CountSums = {
  add(metric: string, by: number, labels: Count['labels']): void
  /** The sums so far; the next ones begin at nothing. */
  take(): Count[]
}

export function createCountSums(): CountSums {
  let sums = new Map<string, Map<Count['labels'], number>>()
  return {
    add(metric, by, labels) {
      const byLabels = sums.get(metric)
      if (byLabels === undefined) sums.set(metric, new Map([[labels, by]]))
      else byLabels.set(labels, (byLabels.get(labels) ?? 0) + by)
    },
    take() {
      const counts: Count[] = []
      for (const [metric, byLabels] of sums)
        for (const [labels, by] of byLabels) counts.push({ metric, by, labels })
      sums = new Map()
      return counts
    },
  }
}
