import { openAdmission } from '../../capture/admission/admission.ts'
import { openFallback } from '../../capture/fallback/fallback.ts'
import { admissionOfMode, createRoutes } from '../../capture/mode/mode.ts'
import { chosenSink } from '../../capture/sinks/config.ts'
import type { RecordSink } from '../../capture/sinks/record-sink.ts'
import { createNoopSink, createPrintSink, sinkNotice } from '../../capture/sinks/sinks.ts'
import type { Route } from '../../http/route.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { StopSignals, World } from '../world.ts'

/** Every route that SDKs send to. Disposed after the server has drained. */
export async function openCaptureRole(
  world: World,
  signals: StopSignals,
): Promise<AsyncDisposable & { routes: Route[] }> {
  const { clock, random, metrics, cache, blobs, config } = world
  const { capture } = config
  const logger = world.logger.child({ role: 'capture' })
  await using stack = new AsyncDisposableStack()
  const admission = stack.use(
    await openAdmission(
      { cache, clock, random, metrics, logger },
      admissionOfMode(capture.mode, capture.admission),
      { signal: signals.abort },
    ),
  )
  const log = await openSink({ world, signals, logger }, stack)
  const ports = { log, admission, clock, random, metrics, logger, blobs }
  const routes = createRoutes(ports, capture)
  const owned = stack.move()
  return { routes, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** The log, or what the settings put in its place or behind it. */
async function openSink(
  { world, signals, logger }: { world: World; signals: StopSignals; logger: Logger },
  stack: AsyncDisposableStack,
): Promise<RecordSink> {
  const { capture, log } = world.config
  const notice = sinkNotice(capture)
  if (notice !== undefined) logger.warn({ sink: notice.kind }, notice.sentence)
  const sink = chosenSink(capture)
  if (sink === 'print') return createPrintSink(logger)
  if (sink === 'noop') return createNoopSink()
  const options = { ...capture.fallback, recordBytesMax: log.recordBytesMax }
  const fallback = stack.use(await openFallback({ ...world, logger }, options, { signal: signals.stop }))
  return capture.fallback.isEnabled ? fallback : world.log
}
