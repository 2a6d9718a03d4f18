/**
 * How a live table differs from the wanted one, and the statements that make it so. Both are described by
 * ClickHouse itself, so what is compared is text in one and the same formatting.
 *
 * The differences come in an order in which their statements can run: indices and TTLs go before what they
 * name changes, new columns come before what may name them, and nothing is dropped before the end.
 */
import { identifier, quoted, tokenSeconds } from './create-table.ts'
import type { LiveColumn, LiveTable } from './live-table.ts'

export type TableDifference = {
  kind:
    | 'column-missing'
    | 'column-changed'
    | 'column-surplus'
    | 'index'
    | 'ttl'
    | 'setting'
    | 'sampling'
    | 'fixed'
  /** A sentence without its stop. */
  what: string
  /** What follows `ALTER TABLE t`; nothing where no statement helps. */
  change: string | undefined
  /** Why no statement helps. */
  whyNot: string | undefined
  /** The same for a table over all shards, which has neither codecs nor TTLs; nothing where it is not concerned. */
  changeOverall?: string | undefined
}

/** Settings that ClickHouse takes only when a table is made. */
const fixedSettings: ReadonlySet<string> = new Set([
  'index_granularity',
  'index_granularity_bytes',
  'enable_mixed_granularity_parts',
  'add_minmax_index_for_numeric_columns',
  'add_minmax_index_for_string_columns',
  'add_minmax_index_for_temporal_columns',
  'table_disk',
])

export function diffTable(wanted: LiveTable, live: LiveTable): TableDifference[] {
  const fixed = fixedDifferences(wanted, live)
  // A view, or a table of another kind, has nothing that could be altered into this one.
  if (!live.engine.includes('MergeTree')) return fixed.slice(0, 1)
  const indices = indexDifferences(wanted, live)
  const columns = columnDifferences(wanted, live)
  return [
    ...fixed,
    ...indices.dropped,
    ...columns.added,
    ...columns.changed,
    ...indices.added,
    ...samplingDifferences(wanted, live),
    ...ttlDifferences(wanted, live),
    ...settingDifferences(wanted, live),
    ...columns.surplus,
  ]
}

function fixedDifferences(wanted: LiveTable, live: LiveTable): TableDifference[] {
  const facts = [
    ['engine', wanted.engine, live.engine],
    ['partition', wanted.partitionBy, live.partitionBy],
    ['sorting key', wanted.orderBy, live.orderBy],
    ['primary key', wanted.primaryKey, live.primaryKey],
  ] as const
  return facts.flatMap(([name, want, has]) =>
    want === has
      ? []
      : [
          {
            kind: 'fixed' as const,
            what: `the ${name} is ${has || 'none'}, not ${want || 'none'}`,
            change: undefined,
            whyNot: 'ClickHouse fixes it when a table is made: make a new table and copy the rows',
          },
        ],
  )
}

function columnDifferences(wanted: LiveTable, live: LiveTable) {
  const has = new Map(live.columns.map((column) => [column.name, column]))
  const wants = new Set(wanted.columns.map(({ name }) => name))
  const missing = wanted.columns.filter(({ name }) => !has.has(name))
  const changed = wanted.columns.flatMap((column) => {
    const own = has.get(column.name)
    return own === undefined ? [] : changesOf(column, own)
  })
  const surplus = live.columns.filter(({ name }) => !wants.has(name))
  return {
    added: inOrderOfNeed(missing).map((column) => addition(column, wanted, missing)),
    changed,
    surplus: surplus.map(
      (column): TableDifference => ({
        kind: 'column-surplus',
        what: `the column ${column.name} is not in the storage`,
        change: column.isInKey ? undefined : `DROP COLUMN ${identifier(column.name)}`,
        whyNot: column.isInKey ? 'it is part of a key of the table' : undefined,
      }),
    ),
  }
}

/** Columns that name each other in their expressions: what is named comes first. */
function inOrderOfNeed(columns: readonly LiveColumn[]): LiveColumn[] {
  const ordered: LiveColumn[] = []
  let open = [...columns]
  while (open.length > 0) {
    const isFree = ({ name, computed, ttl }: LiveColumn) =>
      !open.some((other) => other.name !== name && `${computed} ${ttl}`.includes(other.name))
    const free = open.filter(isFree)
    const next = free.length > 0 ? free : open
    ordered.push(...next)
    open = open.filter((column) => !next.includes(column))
  }
  return ordered
}

/** At its place, if the column before it is there. */
function addition(column: LiveColumn, wanted: LiveTable, missing: readonly LiveColumn[]): TableDifference {
  const before = wanted.columns[wanted.columns.indexOf(column) - 1]
  const place =
    before === undefined ? ' FIRST' : missing.includes(before) ? '' : ` AFTER ${identifier(before.name)}`
  return {
    kind: 'column-missing',
    what: `the column ${column.name} is missing`,
    change: `ADD COLUMN ${declaration(column)}${place}`,
    changeOverall: `ADD COLUMN ${declaration(stripped(column))}${place}`,
    whyNot: undefined,
  }
}

function changesOf(wanted: LiveColumn, live: LiveColumn): TableDifference[] {
  const name = identifier(wanted.name)
  const removals = removalsOf(wanted, live).map(([what, part]): TableDifference => {
    const change = `MODIFY COLUMN ${name} REMOVE ${part}`
    const isOverall = part !== 'CODEC' && part !== 'TTL'
    return {
      kind: 'column-changed',
      what: `the column ${wanted.name} has ${what}, which is not in the storage`,
      change,
      changeOverall: isOverall ? change : undefined,
      whyNot: undefined,
    }
  })
  const changes = [
    ...(wanted.type === live.type ? [] : [`the type ${live.type}, not ${wanted.type}`]),
    ...(['computed', 'codec', 'ttl'] as const).flatMap((part) =>
      wanted[part] === live[part] || wanted[part] === ''
        ? []
        : [`${phrase(part, live[part])}, not ${phrase(part, wanted[part])}`],
    ),
  ]
  if (changes.length === 0) return removals
  const told = {
    kind: 'column-changed',
    what: `the column ${wanted.name} has ${changes.join('; and ')}`,
  } as const
  if (live.isInKey && wanted.type !== live.type) {
    const whyNot = 'it is part of a key of the table: make a new table and copy the rows'
    return [...removals, { ...told, change: undefined, whyNot }]
  }
  const isOverall = wanted.type !== live.type || (wanted.computed !== live.computed && wanted.computed !== '')
  return [
    ...removals,
    ...fillDifferences(wanted, live).map((change) => ({ ...told, change, whyNot: undefined })),
    {
      ...told,
      change: `MODIFY COLUMN ${declaration(wanted)}`,
      changeOverall: isOverall ? `MODIFY COLUMN ${declaration(stripped(wanted))}` : undefined,
      whyNot: undefined,
    },
  ]
}

const nullable = /^(LowCardinality\()?Nullable\(/

/** ClickHouse wants to be told what becomes of the nulls of a column that shall have none: what a row without it has. */
function fillDifferences(wanted: LiveColumn, live: LiveColumn): string[] {
  if (!nullable.test(live.type) || nullable.test(wanted.type) || wanted.computed.startsWith('DEFAULT '))
    return []
  const name = identifier(wanted.name)
  const fill = `MODIFY COLUMN ${name} ${wanted.type} DEFAULT defaultValueOfTypeName(${quoted(wanted.type)})`
  return [fill, `MODIFY COLUMN ${name} REMOVE DEFAULT`]
}

function phrase(part: 'computed' | 'codec' | 'ttl', text: string): string {
  if (text === '') return `no ${part === 'computed' ? 'default' : part === 'codec' ? 'codec' : 'TTL'}`
  return part === 'ttl' ? `TTL ${text}` : text
}

/** Modifying a column leaves what the statement does not name. */
function removalsOf(wanted: LiveColumn, live: LiveColumn): (readonly [string, string])[] {
  const kind = live.computed.split(' ')[0] ?? ''
  return [
    ...(wanted.computed === '' && live.computed !== '' ? [[live.computed, kind] as const] : []),
    ...(wanted.codec === '' && live.codec !== '' ? [[live.codec, 'CODEC'] as const] : []),
    ...(wanted.ttl === '' && live.ttl !== '' ? [[`TTL ${live.ttl}`, 'TTL'] as const] : []),
  ]
}

function stripped(column: LiveColumn): LiveColumn {
  return { ...column, codec: '', ttl: '' }
}

function declaration({ name, type, computed, codec, ttl }: LiveColumn): string {
  const parts = [identifier(name), type, computed, codec, ttl === '' ? '' : `TTL ${ttl}`]
  return parts.filter((part) => part !== '').join(' ')
}

function indexDifferences(wanted: LiveTable, live: LiveTable) {
  const textOf = ({ expression, type, granularity }: LiveTable['indices'][number]) =>
    `(${expression}) TYPE ${type} GRANULARITY ${granularity}`
  const has = new Map(live.indices.map((index) => [index.name, textOf(index)]))
  const wants = new Map(wanted.indices.map((index) => [index.name, textOf(index)]))
  const difference = (what: string, change: string): TableDifference => ({
    kind: 'index',
    what,
    change,
    whyNot: undefined,
  })
  return {
    dropped: [...has].flatMap(([name, text]) => {
      const want = wants.get(name)
      if (want === text) return []
      const what = want === undefined ? 'is not in the storage' : `is ${text}, not ${want}`
      return [difference(`the index ${name} ${what}`, `DROP INDEX ${identifier(name)}`)]
    }),
    added: [...wants].flatMap(([name, text]) =>
      has.get(name) === text
        ? []
        : [difference(`the index ${name} is missing`, `ADD INDEX ${identifier(name)} ${text}`)],
    ),
  }
}

function samplingDifferences({ sampleBy: want }: LiveTable, { sampleBy: has }: LiveTable): TableDifference[] {
  if (want === has) return []
  return [
    {
      kind: 'sampling',
      what: `it is sampled by ${has || 'nothing'}, not ${want || 'nothing'}`,
      change: want === '' ? 'REMOVE SAMPLE BY' : `MODIFY SAMPLE BY ${want}`,
      whyNot: undefined,
    },
  ]
}

function ttlDifferences({ ttl: want }: LiveTable, { ttl: has }: LiveTable): TableDifference[] {
  if (want === has) return []
  return [
    {
      kind: 'ttl',
      what: `the TTL is ${has || 'none'}, not ${want || 'none'}`,
      change: want === '' ? 'REMOVE TTL' : `MODIFY TTL ${want}`,
      whyNot: undefined,
    },
  ]
}

function settingDifferences(wanted: LiveTable, live: LiveTable): TableDifference[] {
  const has = new Map([...live.settings].map(([name, value]) => [settingName(name), value]))
  // A replicated table has it beside the window, which alone is the storage's to say.
  if (live.isReplicated) has.delete(tokenSeconds.name)
  const wants = new Map([...wanted.settings].map(([name, value]) => [settingName(name), value]))
  return [...new Set([...wants.keys(), ...has.keys()])].flatMap((name): TableDifference[] => {
    const want = wants.get(name)
    const value = has.get(name)
    if (want === value) return []
    const isFixed = fixedSettings.has(name)
    const liveName = live.isReplicated && name === dedupWindow ? `replicated_${dedupWindow}` : fullName(name)
    return [
      {
        kind: 'setting',
        what: `the setting ${liveName} is ${value ?? 'not set'}, not ${want ?? 'left alone'}`,
        change: isFixed
          ? undefined
          : want === undefined
            ? `RESET SETTING ${liveName}`
            : `MODIFY SETTING ${liveName} = ${want}`,
        whyNot: isFixed ? 'ClickHouse takes it only when a table is made' : undefined,
      },
    ]
  })
}

/** One setting under two names, by whether the table is replicated. */
const dedupWindow = 'deduplication_window'

function settingName(name: string): string {
  return name.replace(/^(non_)?replicated_(?=deduplication_window$)/, '')
}

function fullName(name: string): string {
  return name === dedupWindow ? `non_replicated_${dedupWindow}` : name
}
