/** What Zod says about a value, as a finding in a sentence. */
import type { z } from 'zod'
import type { Finding } from './yaml-text.ts'

type Issue = z.core.$ZodIssue

export function describeIssue(issue: Issue, root: unknown): Finding[] {
  const path = issue.path
  const what = nameOf(path)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `There is no setting ${nameOf([...path, key])}.`,
      isKey: true,
    }))
  const value = valueAt(root, path)
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined) {
    const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.join(', ') : ''
    return [{ path, message: `${what} is one of ${options}, not ${textOf(value)}.` }]
  }
  if (value === undefined) return [{ path, message: `${what} is missing.` }]
  if (issue.code === 'invalid_key') {
    const reason = issue.issues[0]?.message ?? 'is no name'
    return [{ path, message: `${what} ${reason}.`, isKey: true }]
  }
  if (issue.code === 'invalid_type')
    return [{ path, message: `${what} must be ${kindOf(issue.expected)}, not ${textOf(value)}.` }]
  if (issue.code === 'invalid_value')
    return [
      { path, message: `${what} is one of ${issue.values.map(String).join(', ')}, not ${textOf(value)}.` },
    ]
  if (issue.code === 'invalid_union')
    return [{ path, message: `${what} must be a text or a number, not ${textOf(value)}.` }]
  if (issue.code === 'too_small' || issue.code === 'too_big')
    return [{ path, message: `${what} ${boundOf(issue)}, and is ${textOf(value)}.` }]
  if (issue.code === 'invalid_format')
    return [{ path, message: `${what} ${issue.message}, which ${textOf(value)} is not.` }]
  return [{ path, message: `${what}: ${issue.message}.` }]
}

/** `tables[0].columns[3].type`, or `The file`. */
export function nameOf(path: readonly PropertyKey[]): string {
  const name = path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? String(key) : `${text}.${String(key)}`
  }, '')
  return name === '' ? 'The file' : name
}

function boundOf(issue: Extract<Issue, { code: 'too_small' | 'too_big' }>): string {
  const isList = issue.origin === 'array'
  const unit = isList ? ' entries' : issue.origin === 'string' ? ' characters' : ''
  const [word, bound] =
    issue.code === 'too_small'
      ? [issue.inclusive === false ? 'is more than' : 'is at least', issue.minimum]
      : [issue.inclusive === false ? 'is less than' : 'is at most', issue.maximum]
  return `${isList ? word.replace('is', 'has') : word} ${bound}${unit}`
}

function kindOf(expected: string): string {
  const kinds: Readonly<Record<string, string>> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a mapping',
    record: 'a mapping',
  }
  return kinds[expected] ?? expected
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value !== null && typeof value === 'object' ? Reflect.get(value, key) : undefined),
    root,
  )
}

function textOf(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
