import { z } from 'zod'

/** Limits of the threads that processors run in. */
export const processorConfig = z.strictObject({
  messageTimeoutMs: z.int().min(100).default(10_000).meta({
    description:
      'How long a processor in a thread may take over one message, in ms. Beyond it the thread is ended and the message is a dead letter.',
  }),
  startTimeoutMs: z
    .int()
    .min(100)
    .default(30_000)
    .meta({ description: "How long a user's module may take to load, in ms." }),
  workerMemoryMegabytesMax: z.int().min(32).default(256).meta({
    description: 'Memory of one processor thread. Beyond it the thread is ended and started again.',
  }),
  printedBytesMax: z
    .int()
    .min(0)
    .default(16 * 1024)
    .meta({
      description: 'Bytes that a processor may print during one batch; they go to the log, the rest is lost.',
    }),
})

export type ProcessorConfig = z.infer<typeof processorConfig>
