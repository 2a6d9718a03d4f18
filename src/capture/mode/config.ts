import { z } from 'zod'

export const captureModes = ['all', 'events', 'recordings', 'ai', 'import'] as const
export type CaptureMode = (typeof captureModes)[number]

export const captureModeSchema = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.enum(captureModes))
  .default('all')
  .meta({
    description:
      "Which routes there are: `all`, or those of one of PostHog's capture services: `events`, `recordings`, `ai` (AI events only) or `import` (historical batches only).",
    env: 'CAPTURE_MODE',
  })

/** What contradicts itself, as sentences that say what to set. */
export function modeContradictions(config: {
  mode: CaptureMode
  admission: { aiOverflowTopic: string }
}): string[] {
  if (config.mode !== 'import' || config.admission.aiOverflowTopic === '') return []
  return [
    'capture.mode (CAPTURE_MODE) is import, which never overflows AI events; unset capture.admission.aiOverflowTopic.',
  ]
}
