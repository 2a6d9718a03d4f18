import { z } from 'zod'

const bound = (value: number, description: string, min = 1) =>
  z.number().int().min(min).default(value).meta({ description })

/** What untrusted code may use. One program is one version of one plugin. */
export const sandboxConfigSchema = z.strictObject({
  childrenMax: bound(0, 'Child processes that run programs; 0 is one for each core.', 0),
  callsPerChildMax: bound(10, 'Calls of different programs that a child process has in hand at once.'),
  callsWaitingMax: bound(1000, 'Calls that wait for a child process; further ones get SANDBOX_BUSY.'),
  isolatesPerChildMax: bound(200, 'Heaps that a child process keeps; the one unused for longest makes room.'),
  programCharsMax: bound(8_388_608, 'Longest source text of a program.'),
  heapMegabytesMax: bound(64, "A program's heap in each child process, in MiB.", 8),
  childMegabytesMax: bound(2048, 'Memory of a child process, in MiB; beyond it the process is killed.'),
  loadTimeoutMs: bound(5000, 'How long the first run of a program may take.'),
  itemCpuMs: bound(1000, 'How long a program may compute for one item without a pause.'),
  itemWaitMs: bound(30_000, 'How long an item may take altogether, waiting included.'),
  callCpuMs: bound(60_000, 'Processor time of one call with all its items.'),
  callItemsMax: bound(10_000, 'Items of one call.'),
  callCharsMax: bound(67_108_864, 'Characters of the items of one call.'),
  resultCharsMax: bound(4_194_304, "Characters of one item's result."),
  answerCharsMax: bound(67_108_864, 'Characters of the results of one call.'),
  errorCharsMax: bound(16_384, 'Characters of the message of an error, and of its stack.'),
  logCharsMax: bound(65_536, 'Characters that a program may print during one call; more is counted.'),
  lineCharsMax: bound(8192, 'Characters of one printed line.'),
  hostCallsMax: bound(10_000, 'Requests to host functions during one call.'),
  hostCallsInFlightMax: bound(32, 'Requests to host functions that a call may wait for at once.'),
  hostCharsMax: bound(4_194_304, 'Characters of what a host function is given, and of what it answers.'),
  hostTimeoutMs: bound(30_000, 'How long a host function may take.'),
  sliceMs: bound(50, 'How long a program runs before the child process looks whether it may go on.'),
  beatMs: bound(200, 'How often a child process says that it is alive.'),
  wedgeMs: bound(
    10_000,
    'A child process that is silent for so long, or a heap that does not stop, is killed.',
  ),
  startTimeoutMs: bound(30_000, 'How long a child process may take to start.'),
  crashesMax: bound(5, 'Crashes of its process after which a program is paused.'),
  crashWindowMs: bound(600_000, 'The time within which crashes are counted.'),
})
export type SandboxConfig = z.infer<typeof sandboxConfigSchema>
