import { openAdmission } from '../../capture/admission/admission.ts'
import { createAiRoutes } from '../../capture/ai/ai.ts'
import { createCapture } from '../../capture/capture.ts'
import { createOtelRoutes } from '../../capture/otel/otel.ts'
import { createReplayRoutes } from '../../capture/replay/replay.ts'
import { createV1Routes } from '../../capture/v1/v1.ts'
import type { Route } from '../../http/route.ts'
import type { StopSignals, World } from '../world.ts'

/** Every route that SDKs send to. Disposed after the server has drained. */
export async function openCaptureRole(
  world: World,
  signals: StopSignals,
): Promise<AsyncDisposable & { routes: Route[] }> {
  const { clock, random, metrics, log, cache, blobs } = world
  const { admission: admissionConfig, v1, replay, ai, otel, ...capture } = world.config.capture
  const logger = world.logger.child({ role: 'capture' })
  const admission = await openAdmission({ cache, clock, random, metrics, logger }, admissionConfig, {
    signal: signals.abort,
  })
  const ports = { log, admission, clock, random, metrics, logger }
  const shared = { ...capture, aiLanePredicate: admissionConfig.aiLanePredicate }
  return {
    routes: [
      ...createCapture(ports, shared).routes,
      ...createV1Routes(ports, { ...shared, ...v1, aiMessageBytesMax: ai.messageBytesMax }),
      ...createReplayRoutes(ports, { ...shared, ...replay }),
      ...createAiRoutes({ ...ports, blobs }, { ...ai, capture: shared }),
      ...createOtelRoutes(ports, { ...shared, ...otel }),
    ],
    [Symbol.asyncDispose]: () => admission[Symbol.asyncDispose](),
  }
}
