/**
 * Capture's routes by mode. One program serves them all; a mode makes it stand in for one of PostHog's capture
 * services, with the routes and the refusals of that one:
 *
 * - `events`: everything but session recordings and the AI service's own v1 route;
 * - `recordings`: `/s` alone;
 * - `ai`: the routes of events, where other events than those of AI are refused (v0) or dropped (v1);
 * - `import`: v0 and v1 without forms and exports. What is not marked as historical is accepted and dropped.
 *   Neither the rate limit nor the AI byte budget applies.
 */
import type { Route } from '../../http/route.ts'
import type { AdmissionConfig } from '../admission/config.ts'
import type { Admission } from '../admission/types.ts'
import { type AiPorts, createAiRoutes } from '../ai/ai.ts'
import type { AiConfig } from '../ai/config.ts'
import { createCapture } from '../capture.ts'
import type { CaptureConfig } from '../config.ts'
import type { OtelConfig } from '../otel/config.ts'
import { createOtelRoutes } from '../otel/otel.ts'
import type { ReplayConfig } from '../replay/config.ts'
import { createReplayRoutes } from '../replay/replay.ts'
import type { V1Config } from '../v1/config.ts'
import { createV1Routes } from '../v1/v1.ts'
import type { CaptureMode } from './config.ts'

export type RoutesConfig = CaptureConfig & {
  admission: Pick<AdmissionConfig, 'aiLanePredicate'>
  v1: V1Config
  replay: ReplayConfig
  ai: AiConfig
  otel: OtelConfig
}

export function createRoutes(given: AiPorts, config: RoutesConfig): Route[] {
  const { admission: admissionConfig, v1, replay, ai, otel, ...capture } = config
  const { mode } = capture
  const ports = mode === 'import' ? { ...given, admission: onlyHistorical(given.admission) } : given
  const isAiOnly = mode === 'ai'
  const shared = { ...capture, aiLanePredicate: admissionConfig.aiLanePredicate, isAiOnly }
  return [
    ...createCapture(ports, shared).routes,
    ...createV1Routes(ports, { ...shared, ...v1, aiMessageBytesMax: ai.messageBytesMax }),
    ...createReplayRoutes(ports, { ...shared, ...replay }),
    ...createAiRoutes(ports, { ...ai, capture: shared }),
    ...createOtelRoutes(ports, { ...shared, ...otel }),
  ].filter(({ path }) => servesPath(mode, path))
}

/** Admission without the limits that a mode does not apply. */
export function admissionOfMode(mode: CaptureMode, config: AdmissionConfig): AdmissionConfig {
  if (mode !== 'import') return config
  return {
    ...config,
    aiBytesPerSecondMax: 0,
    aiBytesPerSecondOverrides: [],
    rateLimit: { ...config.rateLimit, isEnabled: false },
  }
}

function servesPath(mode: CaptureMode, path: string): boolean {
  if (mode === 'all') return true
  if (path === '/s' || mode === 'recordings') return path === '/s' && mode === 'recordings'
  if (path === '/i/v1/ai/events') return mode === 'ai'
  if (mode !== 'import') return true
  return path === '/i/v0/ai/batch' || !path.startsWith('/i/v0/ai')
}

function onlyHistorical(admission: Pick<Admission, 'admit'>): Pick<Admission, 'admit'> {
  return {
    admit(events, pipeline) {
      const others = events.filter(({ isHistorical }) => !isHistorical)
      if (others.length === 0) return admission.admit(events, pipeline)
      const historical = events.filter(({ isHistorical }) => isHistorical)
      const admitted = admission.admit(historical, pipeline)
      const dropped = others.map((event) => ({ event, reason: 'non_historical_import' as const }))
      return { ...admitted, dropped: [...dropped, ...admitted.dropped] }
    },
  }
}
