/** Writes a small database in MaxMind's format, version 2.0, for IPv4 networks. */
type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value }
type Node = { children: [Node | number | undefined, Node | number | undefined] }

/** `networks` maps `a.b.c.d/bits` to what the database says of it. */
export function writeMmdb(networks: Readonly<Record<string, Value>>): Buffer {
  const root: Node = { children: [undefined, undefined] }
  const chunks: Buffer[] = []
  let dataBytes = 0
  for (const [network, value] of Object.entries(networks)) {
    insert(root, network, dataBytes)
    const chunk = encode(value)
    chunks.push(chunk)
    dataBytes += chunk.length
  }
  const nodes = number(root)
  const tree = Buffer.concat(
    nodes.map((node) => Buffer.concat(node.children.map((child) => record(child, nodes)))),
  )
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: 'Test-City',
    description: { en: 'made by a test' },
    ip_version: 4,
    languages: ['en'],
    node_count: nodes.length,
    record_size: 24,
  })
  const marker = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex')
  return Buffer.concat([tree, Buffer.alloc(16), ...chunks, marker, metadata])
}

function insert(root: Node, network: string, at: number): void {
  const [address = '', bits = '32'] = network.split('/')
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  let node = root
  for (let depth = 0; depth < Number(bits); depth++) {
    const side = Math.floor(value / 2 ** (31 - depth)) % 2 === 0 ? 0 : 1
    if (depth === Number(bits) - 1) node.children[side] = at
    else {
      const next = node.children[side]
      const child: Node = typeof next === 'object' ? next : { children: [undefined, undefined] }
      node.children[side] = child
      node = child
    }
  }
}

function number(root: Node): Node[] {
  const nodes = [root]
  for (const node of nodes)
    for (const child of node.children) if (typeof child === 'object') nodes.push(child)
  return nodes
}

function record(child: Node | number | undefined, nodes: readonly Node[]): Buffer {
  const bytes = Buffer.alloc(3)
  const empty = nodes.length
  const value =
    child === undefined ? empty : typeof child === 'number' ? nodes.length + 16 + child : nodes.indexOf(child)
  bytes.writeUIntBE(value, 0, 3)
  return bytes
}

function encode(value: Value): Buffer {
  if (typeof value === 'string')
    return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'boolean') return control(14, value ? 1 : 0)
  if (typeof value === 'number') return encodeNumber(value)
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([
    control(7, entries.length),
    ...entries.flatMap(([key, inner]) => [encode(key), encode(inner)]),
  ])
}

function encodeNumber(value: number): Buffer {
  if (!Number.isInteger(value) || value < 0) {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    return Buffer.concat([control(3, 8), bytes])
  }
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return Buffer.concat([control(6, 4), bytes])
}

/** Type and size; types above 7 take a second byte. */
function control(type: number, size: number): Buffer {
  const extended = type > 7
  const first = (extended ? 0 : type) << 5
  const sizes = size < 29 ? [first | size] : [first | 29, size - 29]
  const [head = 0, ...rest] = sizes
  return Buffer.from(extended ? [head, type - 7, ...rest] : [head, ...rest])
}
