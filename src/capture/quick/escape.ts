/** Writes the raw event of a message into its place, escaped as it stands there: JSON within a JSON string. */
const quote = 34
const backslash = 92

export class EscapedWriter {
  readonly bytes: Buffer
  at = 0

  constructor(bytesMax: number) {
    this.bytes = Buffer.allocUnsafe(bytesMax)
  }

  /** Text that needs no escaping: ASCII without quotes, backslashes and control characters. */
  plain(text: string): void {
    const { bytes } = this
    let { at } = this
    for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index)
    this.at = at
  }

  /** Bytes of checked JSON: nothing in them is below a space. */
  copy(source: Uint8Array, from: number, until: number): void {
    const out: Uint8Array = this.bytes
    let { at } = this
    for (let index = from; index < until; index++) {
      const byte = source[index] ?? 0
      if (byte === quote || byte === backslash) out[at++] = backslash
      out[at++] = byte
    }
    this.at = at
  }
}
