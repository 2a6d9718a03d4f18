import { openAdmission } from '../../capture/admission/admission.ts'
import { openFallback } from '../../capture/fallback/fallback.ts'
import { admissionOfMode, createRoutes } from '../../capture/mode/mode.ts'
import { chosenSink } from '../../capture/sinks/config.ts'
import type { RecordSink } from '../../capture/sinks/record-sink.ts'
import { createNoopSink, createPrintSink, sinkNotice } from '../../capture/sinks/sinks.ts'
import type { Route } from '../../http/route.ts'
import type { Blobs } from '../../ports/blobs.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { placesOf } from '../needs.ts'
import { blobsOf, cacheOf, logOf, type StopSignals, type World } from '../world.ts'

/** Every route that SDKs send to. Disposed after the server has drained. */
export async function openCaptureRole(
  world: World,
  signals: StopSignals,
): Promise<AsyncDisposable & { routes: Route[] }> {
  const { clock, random, metrics, config } = world
  const cache = cacheOf(world)
  const blobs = blobsOf(world)
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
  const { capture, kafka, log } = world.config
  const notice = sinkNotice(capture)
  if (notice !== undefined) logger.warn({ sink: notice.kind }, notice.sentence)
  const sink = chosenSink(capture)
  if (sink === 'print') return createPrintSink(logger)
  if (sink === 'noop') return createNoopSink()
  const { recordBytesMax } = placesOf(world.config).log === 'outside' ? kafka : log
  const options = { ...capture.fallback, recordBytesMax }
  const ports = {
    ...world,
    log: logOf(world),
    cache: cacheOf(world),
    blobs: await openKeepBlobs(world, stack),
    logger,
  }
  const fallback = stack.use(await openFallback(ports, options, { signal: signals.stop }))
  return capture.fallback.isEnabled ? fallback : ports.log
}

/** Where the fallback keeps events: a bucket of its own, if the settings name one. */
async function openKeepBlobs(world: World, stack: AsyncDisposableStack): Promise<Blobs> {
  if (world.config.capture.fallback.bucket === undefined) return blobsOf(world)
  const { openFallbackBlobs } = await import('../engines/fallback-blobs.ts')
  const own = await openFallbackBlobs(world, world.config)
  return own === undefined ? blobsOf(world) : stack.use(own)
}
