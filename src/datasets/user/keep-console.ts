/** Sends what a thread prints to the program, up to a number of bytes until it is renewed. */
export function keepConsole(bytesMax: number, send: (text: string) => void): { renew: () => void } {
  let left = bytesMax
  const write = (chunk: unknown, ...rest: unknown[]): boolean => {
    const written = rest.at(-1)
    if (typeof written === 'function') queueMicrotask(() => written())
    if (left <= 0) return true
    const text = typeof chunk === 'string' ? chunk : chunk instanceof Uint8Array ? decode(chunk) : ''
    const kept = text.slice(0, left)
    left -= Buffer.byteLength(kept)
    send(kept)
    return true
  }
  for (const stream of [process.stdout, process.stderr])
    Object.defineProperty(stream, 'write', { value: write })
  return {
    renew: () => {
      left = bytesMax
    },
  }
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
