/** What is kept of an error event until its row is written. One of these is used for message after message. */
import { Cells } from '../event-fields/cells.ts'
import { Pairs } from '../event-fields/pairs.ts'

/** Places of the row's texts among `ErrorEvent.texts`. */
export const textIndex = {
  culprit: 0,
  dist: 1,
  environment: 2,
  httpMethod: 3,
  httpReferer: 4,
  level: 5,
  location: 6,
  message: 7,
  platform: 8,
  release: 9,
  sdkName: 10,
  sdkVersion: 11,
  title: 12,
  transactionName: 13,
  type: 14,
  userEmail: 15,
  userId: 16,
  userName: 17,
  user: 18,
  version: 19,
  traceSampleRate: 20,
  traceOp: 21,
  traceStatus: 22,
  traceSpanId: 23,
  traceParentSpanId: 24,
} as const

export class ErrorEvent {
  /** Of a UUID: where in the message its digits begin. */
  eventId = 0
  primaryHash = 0
  /** The one of the tags. */
  replayId: string | undefined = undefined
  traceId: number | undefined = undefined
  /** The one in the contexts: it counts more than the tag's. */
  contextReplayId: number | undefined = undefined
  /** Where in the message the digits stand. */
  projectIdStart = 0
  projectIdEnd = 0
  groupIdStart = 0
  groupIdEnd = 0
  /** In decimal digits. */
  spanId: string | undefined = undefined
  timestampMs = 0
  groupFirstSeenMs = 0
  receivedSeconds: number | undefined = undefined
  retentionDays: number | undefined = undefined
  ipV4: string | undefined = undefined
  ipV6: string | undefined = undefined
  traceSampled: boolean | undefined = undefined
  symbolicatedInApp: boolean | undefined = undefined
  sampleRate: number | undefined = undefined
  processingErrors = 0
  /** Pairs of `contextFields` that are the user's `geo`: the first and the next after them. */
  geoFirst = 0
  geoNext = 0
  /** Of exceptions that name one, in order: a thread's id with its type. */
  readonly exceptionThreads: string[] = []
  readonly threads: { id: string; isMain: boolean }[] = []
  readonly texts = new Cells()
  readonly tags = new Pairs()
  /** Names of contexts; a value's start and end are the first and the next of its pairs in `contextFields`. */
  readonly contexts = new Pairs()
  readonly contextFields = new Pairs()
  readonly modules = new Pairs()
  readonly flagKeys = new Cells()
  readonly flagValues = new Cells()
  readonly integrations = new Cells()
  readonly stackTypes = new Cells()
  readonly stackValues = new Cells()
  readonly mechanismTypes = new Cells()
  readonly mechanismHandled = new Cells()
  readonly framePaths = new Cells()
  readonly frameFiles = new Cells()
  readonly framePackages = new Cells()
  readonly frameModules = new Cells()
  readonly frameFunctions = new Cells()
  readonly frameInApp = new Cells()
  readonly frameColumns = new Cells()
  readonly frameLines = new Cells()
  /** By stack: the number of frames. */
  readonly framesOfStack: number[] = []

  clear(): void {
    this.eventId = 0
    this.primaryHash = 0
    this.projectIdStart = 0
    this.projectIdEnd = 0
    this.groupIdStart = 0
    this.groupIdEnd = 0
    this.spanId = undefined
    this.timestampMs = 0
    this.groupFirstSeenMs = 0
    this.receivedSeconds = undefined
    this.retentionDays = undefined
    this.ipV4 = undefined
    this.ipV6 = undefined
    this.replayId = undefined
    this.contextReplayId = undefined
    this.traceId = undefined
    this.traceSampled = undefined
    this.symbolicatedInApp = undefined
    this.sampleRate = undefined
    this.processingErrors = 0
    this.geoFirst = 0
    this.geoNext = 0
    this.threads.length = 0
    this.texts.clear()
    this.tags.clear()
    this.contexts.clear()
    this.contextFields.clear()
    this.modules.clear()
    this.flagKeys.clear()
    this.flagValues.clear()
    this.integrations.clear()
    this.clearStacks()
  }

  clearStacks(): void {
    this.exceptionThreads.length = 0
    this.framesOfStack.length = 0
    this.stackTypes.clear()
    this.stackValues.clear()
    this.mechanismTypes.clear()
    this.mechanismHandled.clear()
    this.framePaths.clear()
    this.frameFiles.clear()
    this.framePackages.clear()
    this.frameModules.clear()
    this.frameFunctions.clear()
    this.frameInApp.clear()
    this.frameColumns.clear()
    this.frameLines.clear()
  }
}
