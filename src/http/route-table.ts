/**
 * Finds the route of a path: exact ones by one look into a map, then patterns in their given order. A path
 * with a trailing slash is the same path.
 */
import type { Route } from './route.ts'

export type RouteMatch = {
  route: Route
  params: Readonly<Record<string, string>>
}
export type RouteTable = {
  find(method: string, path: string): RouteMatch | undefined
  /** Methods that the path knows; empty for an unknown path. */
  methodsOf(path: string): string[]
}

type Pattern = { segments: readonly string[]; hasRest: boolean; route: Route }
const none: Readonly<Record<string, string>> = Object.freeze({})

export function createRouteTable(routes: readonly Route[]): RouteTable {
  const exact = new Map<string, Route[]>()
  const patterns: Pattern[] = []
  for (const route of routes) {
    const path = trimSlash(route.path)
    if (path.includes(':') || path.endsWith('*')) {
      const segments = path.split('/')
      const hasRest = segments.at(-1) === '*'
      patterns.push({ segments: hasRest ? segments.slice(0, -1) : segments, hasRest, route })
    } else {
      const known = exact.get(path)
      if (known === undefined) exact.set(path, [route])
      else known.push(route)
    }
  }
  const candidates = function* (asked: string): Generator<RouteMatch> {
    const path = trimSlash(asked)
    for (const route of exact.get(path) ?? []) yield { route, params: none }
    if (patterns.length === 0) return
    const segments = path.split('/')
    for (const pattern of patterns) {
      const params = matchSegments(pattern, segments)
      if (params !== undefined) yield { route: pattern.route, params }
    }
  }
  return {
    find(method, asked) {
      const first = exact.get(asked)?.[0]
      if (first?.methods.includes(method)) return { route: first, params: none }
      for (const match of candidates(asked)) if (match.route.methods.includes(method)) return match
      return undefined
    },
    methodsOf: (path) => [...new Set([...candidates(path)].flatMap((match) => match.route.methods))],
  }
}

function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

function matchSegments(
  pattern: Pattern,
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const { segments: wanted, hasRest } = pattern
  if (hasRest ? segments.length < wanted.length : segments.length !== wanted.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, want] of wanted.entries()) {
    const given = segments[index] ?? ''
    if (want.startsWith(':')) {
      if (given === '') return undefined
      params[want.slice(1)] = given
    } else if (want !== given) return undefined
  }
  if (hasRest) params['*'] = segments.slice(wanted.length).join('/')
  return params
}
