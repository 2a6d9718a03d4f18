/** A message cannot become rows, and trying again would not help. */
export class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage'
  /** Where in the message: `data.timestamp`, `[2].project_id`. Empty for the message as a whole. */
  readonly path: string
  /** Expected and frequent: set aside with the reason `ignored_message`, without a line in the program's log. */
  readonly isSilent: boolean

  constructor(message: string, options: { path?: string; isSilent?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.path = options.path ?? ''
    this.isSilent = options.isSilent ?? false
  }
}
