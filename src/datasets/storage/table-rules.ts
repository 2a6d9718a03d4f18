/** What can be wrong with a table although its form is right. */
import { findFault, namesIn } from '../table/expression.ts'
import { nameOf } from './describe-issue.ts'
import type { TableDocument } from './table-document.ts'
import type { Finding } from './yaml-text.ts'

type Path = readonly PropertyKey[]
type Placed = { path: Path; text: string }

/** Settings that follow from something else in the YAML. */
const derivedSettings: Readonly<Record<string, string>> = {
  non_replicated_deduplication_window: 'dedup_window',
  replicated_deduplication_window: 'dedup_window',
}

export function tableFindings(table: TableDocument, path: Path): Finding[] {
  return [
    ...columnFindings(table, path),
    ...expressionFindings(table, path),
    ...engineFindings(table, path),
    ...keyFindings(table, path),
    ...settingFindings(table, path),
  ]
}

function columnFindings(table: TableDocument, path: Path): Finding[] {
  const findings: Finding[] = []
  const names = table.columns.map(({ name }) => name)
  for (const [index, column] of table.columns.entries()) {
    const at = [...path, 'columns', index]
    if (names.indexOf(column.name) < index)
      findings.push({ path: [...at, 'name'], message: `The column ${column.name} is there twice.` })
    const kinds = (['default', 'materialized', 'alias'] as const).filter((kind) => column[kind] !== undefined)
    if (kinds.length > 1)
      findings.push({
        path: [...at, kinds[1] ?? ''],
        message: `The column ${column.name} has ${kinds.join(' and ')}; give one of them.`,
        isKey: true,
      })
    for (const kind of ['codec', 'ttl'] as const)
      if (column.alias !== undefined && column[kind] !== undefined)
        findings.push({
          path: [...at, kind],
          message: `${kind} does nothing on ${column.name}, which is an alias and not stored.`,
          isKey: true,
        })
  }
  const indices = table.indices.map(({ name }) => name)
  for (const [index, name] of indices.entries())
    if (indices.indexOf(name) < index)
      findings.push({
        path: [...path, 'indices', index, 'name'],
        message: `The index ${name} is there twice.`,
      })
  return findings
}

/** Every expression is one whole piece, and names columns that exist. */
function expressionFindings(table: TableDocument, path: Path): Finding[] {
  const columns = new Set(table.columns.map(({ name }) => name))
  const nested = new Set([...columns].map((name) => name.split('.')[0] ?? name))
  const isKnown = (name: string) => columns.has(name) || nested.has(name.split('.')[0] ?? name)
  const pieces = [...typesOf(table), ...expressionsOf(table)]
  const faults = pieces.flatMap(({ path: inside, text }): Finding[] => {
    const fault = findFault(text)
    const isList = inside.at(-1) === 'codec' || inside.at(-1) === 'ttl'
    if (fault === undefined || (isList && fault.includes('comma'))) return []
    return [{ path: [...path, ...inside], message: `${nameOf([...path, ...inside])} ${fault}.` }]
  })
  const unknown = expressionsOf(table).flatMap(({ path: inside, text }) =>
    namesIn(text)
      .filter((name) => !isKnown(name))
      .map((name) => ({
        path: [...path, ...inside],
        message: `${nameOf(inside)} names ${name}, which is no column of ${table.name}.`,
      })),
  )
  return [...faults, ...unknown]
}

/** Types, codecs and kinds of index: they name no columns. */
function typesOf(table: TableDocument): Placed[] {
  const columns = table.columns.flatMap(({ type, codec }, index) => [
    { path: ['columns', index, 'type'], text: type },
    { path: ['columns', index, 'codec'], text: codec },
  ])
  const indices = table.indices.map(({ type }, index) => ({ path: ['indices', index, 'type'], text: type }))
  return present([...columns, ...indices])
}

function expressionsOf(table: TableDocument): Placed[] {
  const columns = table.columns.flatMap((column, index) =>
    (['default', 'materialized', 'alias', 'ttl'] as const).map((kind) => ({
      path: ['columns', index, kind],
      text: column[kind],
    })),
  )
  const lists = (['order_by', 'primary_key', 'partition_by'] as const).flatMap((kind) =>
    table[kind].map((text, index) => ({ path: [kind, index], text })),
  )
  return present([
    ...columns,
    ...lists,
    ...table.indices.map(({ expression }, index) => ({
      path: ['indices', index, 'expression'],
      text: expression,
    })),
    { path: ['sample_by'], text: table.sample_by },
    { path: ['ttl'], text: table.ttl },
    { path: ['distributed', 'sharding_key'], text: table.distributed?.sharding_key },
  ])
}

function present(pieces: readonly { path: Path; text: string | undefined }[]): Placed[] {
  return pieces.flatMap(({ path, text }) => (text === undefined ? [] : [{ path, text }]))
}

function engineFindings({ engine, columns, name }: TableDocument, path: Path): Finding[] {
  const findings: Finding[] = []
  const check = (key: string, column: string | undefined, types?: RegExp) => {
    if (column === undefined) return
    const found = columns.find((candidate) => candidate.name === column)
    if (found === undefined)
      findings.push({
        path: [...path, 'engine', key],
        message: `engine.${key} names ${column}, which is no column of ${name}.`,
      })
    else if (types !== undefined && !types.test(found.type))
      findings.push({
        path: [...path, 'engine', key],
        message: `engine.${key} names ${column}, which is ${found.type} and cannot be that.`,
      })
  }
  if (engine.kind === 'ReplacingMergeTree') {
    check('version', engine.version, /^(U?Int|Date|Bool|Enum)/)
    check('is_deleted', engine.is_deleted, /^UInt8$/)
    if (engine.is_deleted !== undefined && engine.version === undefined)
      findings.push({
        path: [...path, 'engine', 'is_deleted'],
        message: 'engine.is_deleted needs engine.version.',
        isKey: true,
      })
  }
  if (engine.kind === 'CollapsingMergeTree') check('sign', engine.sign, /^Int8$/)
  return findings
}

/** The primary key is how the sorting key begins, and holds what is sampled by. */
function keyFindings(table: TableDocument, path: Path): Finding[] {
  const findings: Finding[] = []
  const order = table.order_by.map(spaceless)
  const primary = table.primary_key.length === 0 ? order : table.primary_key.map(spaceless)
  const index = primary.findIndex((part, at) => part !== order[at])
  if (index >= 0)
    findings.push({
      path: [...path, 'primary_key', index],
      message: `primary_key[${index}] differs from order_by[${index}]; the primary key is how the sorting key begins.`,
    })
  if (table.sample_by !== undefined && !primary.includes(spaceless(table.sample_by)))
    findings.push({
      path: [...path, 'sample_by'],
      message: `sample_by is no part of the ${table.primary_key.length === 0 ? 'sorting' : 'primary'} key.`,
    })
  const inKeys = new Set([...table.order_by, ...table.partition_by].flatMap(namesIn))
  for (const [at, { name, ttl }] of table.columns.entries())
    if (ttl !== undefined && inKeys.has(name))
      findings.push({
        path: [...path, 'columns', at, 'ttl'],
        message: `The column ${name} is part of a key of the table, and cannot have a TTL of its own.`,
        isKey: true,
      })
  return findings
}

function settingFindings(table: TableDocument, path: Path): Finding[] {
  return Object.keys(table.settings).flatMap((key) => {
    const instead = derivedSettings[key]
    if (instead === undefined) return []
    return [
      { path: [...path, 'settings', key], message: `${key} follows from ${instead}; set that.`, isKey: true },
    ]
  })
}

function spaceless(text: string): string {
  return text.replaceAll(/\s+/g, '')
}
