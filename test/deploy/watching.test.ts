/**
 * Alerts, dashboard and runbooks against the registers: what they measure exists, with those labels, and an alert leads
 * to a page that leads to commands, settings, codes and log lines that there are.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { z } from 'zod'
import { dashboardText, rows } from '../../scripts/dashboard.ts'
import { errorRegister } from '../../src/errors/register.ts'
import { metricRegister } from '../../src/telemetry/register.ts'
import { exists, find, read, readYaml } from './tree.ts'

const rule = z.strictObject({
  alert: z.string().regex(/^Rowmill[A-Za-z]+$/),
  expr: z.string(),
  for: z
    .string()
    .regex(/^\d+m$/)
    .optional(),
  labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
  annotations: z.strictObject({ summary: z.string(), runbook: z.string().startsWith('docs/runbooks/') }),
})
const { groups } = z
  .strictObject({ groups: z.array(z.strictObject({ name: z.string(), rules: z.array(rule) })) })
  .parse(readYaml('deploy/prometheus/alerts.yaml'))
const alerts = groups.flatMap(({ rules }) => rules)
const queries = rows.flatMap(({ panels }) =>
  panels.flatMap((panel) => panel.queries.map(([expr, legend]) => ({ panel, expr, legend }))),
)

type Metric = { kind: string; labels: readonly string[] }
const register = new Map<string, Metric>(Object.entries(metricRegister))
/** What Prometheus itself adds. */
const added = ['job', 'instance']

/** A histogram is measured by its three series; Prometheus itself makes `up`. */
function metricOf(series: string): Metric | undefined {
  if (series === 'up') return { kind: 'gauge', labels: [] }
  const [, name = series, part] = /^(.*)_(bucket|sum|count)$/.exec(series) ?? []
  const metric = register.get(series) ?? register.get(name)
  if (metric === undefined || (metric.kind === 'histogram') !== (part !== undefined)) return undefined
  return part === 'bucket' ? { ...metric, labels: [...metric.labels, 'le'] } : metric
}

const functions = new Set(
  'sum max min avg rate increase deriv histogram_quantile by on and or unless offset'.split(' '),
)

/** A sentence for each thing in a query that is not measured. */
function findings(expr: string): string[] {
  const found: string[] = []
  const selected = new Set<string>()
  for (const [, series = '', matchers = ''] of expr.matchAll(/([a-z_][\w]*)\{([^}]*)\}/g)) {
    const metric = metricOf(series)
    if (metric === undefined) found.push(`${series} is not measured, or not so`)
    for (const label of [...(metric?.labels ?? []), ...added]) selected.add(label)
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      if (metric !== undefined && ![...metric.labels, ...added].includes(label))
        found.push(`${series} has no label ${label}`)
    if (!matchers.includes('job="rowmill"')) found.push(`${series} is asked of every job`)
    const isRated = new RegExp(`(rate|increase)\\(\\s*${series}\\{`).test(expr)
    const isTold = metric?.kind === 'gauge' || isRated || /unless/.test(expr)
    if (metric !== undefined && !isTold) found.push(`${series} is a counter and wants a rate`)
    if (metric?.kind === 'gauge' && isRated) found.push(`${series} is a gauge and has no rate`)
  }
  if (selected.size === 0) found.push('nothing is measured')
  for (const [, list = ''] of expr.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g))
    for (const label of list.split(',').map((one) => one.trim()))
      if (!selected.has(label)) found.push(`nothing has the label ${label}`)
  const bare = expr
    .replaceAll(/[\w]+\{[^}]*\}/g, '')
    .replaceAll(/\b(by|on)\s*\([^)]*\)/g, '')
    .replaceAll(/\[[^\]]*\]|offset \w+/g, '')
  for (const [word] of bare.matchAll(/[a-z_]\w*/g))
    if (!functions.has(word)) found.push(`${word} stands alone`)
  return found
}

/** Labels of what an expression answers: those that its aggregation keeps, or all of its metric. */
function labelsOf(expr: string): string[] {
  const kept = [...expr.matchAll(/\b(?:by)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((one) => one.trim()),
  )
  if (kept.length > 0) return kept.filter((label) => label !== 'le')
  return [...expr.matchAll(/([a-z_]\w*)\{/g)].flatMap(([, series = '']) => [
    ...(metricOf(series)?.labels ?? []),
    ...added,
  ])
}

suite('what finds a wrong query', () => {
  for (const [expr, message] of [
    ['sum(rate(nothing_total{job="rowmill"}[5m]))', /nothing_total is not measured/],
    ['rate(log_flush_seconds{job="rowmill"}[5m])', /not measured, or not so/],
    ['log_bytes{job="rowmill", topic="a"}', /no label topic/],
    ['log_bytes{instance="a"}', /every job/],
    ['sum(log_records_total{job="rowmill"})', /wants a rate/],
    ['rate(log_bytes{job="rowmill"}[5m])', /has no rate/],
    ['sum by (topic) (log_bytes{job="rowmill"})', /label topic/],
    ['log_bytes_bound > log_bytes{job="rowmill"}', /log_bytes_bound stands alone/],
  ] as const)
    test(expr, () => assert.match(findings(expr).join('; '), message))
})

suite('alerts', () => {
  test('have names of their own', () => {
    assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length)
  })

  for (const { alert, expr, annotations } of alerts) {
    test(`${alert} measures what is measured`, () => {
      assert.deepEqual(findings(expr), [])
    })

    test(`${alert} tells of labels that it has`, () => {
      const told = [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
      assert.deepEqual(
        told.filter((label) => !labelsOf(expr).includes(label)),
        [],
      )
    })

    test(`${alert} has a runbook that knows it`, () => {
      assert.ok(exists(annotations.runbook), annotations.runbook)
      const [named] = read(annotations.runbook).match(/^Alerts?: .*\.$/m) ?? ['']
      assert.ok(named.includes(`\`${alert}\``))
    })
  }

  test('are tried with made-up measurements under the names that they have', () => {
    const tried = [...read('deploy/prometheus/alerts.test.yaml').matchAll(/alertname: (\w+)/g)]
    const names = new Set(tried.map(([, name = '']) => name))
    assert.ok(names.size >= 8)
    assert.deepEqual(
      [...names].filter((name) => !alerts.some(({ alert }) => alert === name)),
      [],
    )
  })

  test('come with a job of the name that they ask for', () => {
    const scrape = z
      .looseObject({
        rule_files: z.array(z.string()),
        scrape_configs: z.tuple([z.looseObject({ job_name: z.literal('rowmill') })]),
      })
      .parse(readYaml('deploy/prometheus/scrape.yaml'))
    assert.deepEqual(
      scrape.rule_files.filter((path) => !exists(`deploy/prometheus/${path}`)),
      [],
    )
  })
})

suite('the dashboard', () => {
  test('is what scripts/dashboard.ts says', () => {
    assert.equal(read('deploy/grafana/rowmill.json'), dashboardText(), 'run "node scripts/dashboard.ts"')
  })

  test('measures what is measured', () => {
    const wrong = queries.flatMap(({ panel, expr }) => findings(expr).map((one) => `${panel.title}: ${one}`))
    assert.deepEqual(wrong, [])
  })

  test('names its lines by labels that they have', () => {
    const wrong = queries.flatMap(({ panel, expr, legend }) =>
      [...legend.matchAll(/\{\{(\w+)\}\}/g)]
        .filter(([, label = '']) => !labelsOf(expr).includes(label))
        .map(([label]) => `${panel.title}: ${label}`),
    )
    assert.deepEqual(wrong, [])
  })

  test('asks only for the variables that it has', () => {
    const [, list = ''] = /"templating": (\{[\s\S]*?\n {2}\})/.exec(dashboardText()) ?? []
    const made = [...list.matchAll(/"name": "(\w+)"/g)].map(([, name]) => name)
    const asked = new Set([...dashboardText().matchAll(/\$(?!__)(\w+)/g)].map(([, name]) => name))
    assert.deepEqual(
      [...asked].filter((name) => !made.includes(name)),
      [],
    )
  })
})

suite('runbooks', () => {
  const pages = find('docs/runbooks/*.md')
  const sections = ['What it means', 'How to see it', 'What to do', 'How to know that it is over']
  const sources = find('src/**/*.ts')
    .filter((path) => !path.endsWith('.test.ts'))
    .map(read)
    .join('\n')

  for (const page of pages) {
    const text = read(page)

    test(`${page} is of an alert, and has the sections of all`, () => {
      const [named] = text.match(/^Alerts?: .*\.$/m) ?? ['']
      const names = [...named.matchAll(/`(\w+)`/g)].map(([, name]) => name)
      const own = alerts.filter(({ annotations }) => annotations.runbook === page).map(({ alert }) => alert)
      assert.ok(own.length > 0)
      assert.deepEqual(names, own)
      assert.deepEqual(
        [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title),
        sections,
      )
    })

    test(`${page} names codes, metrics and log lines that there are`, () => {
      const known = new Set([...Object.keys(errorRegister), ...foreign])
      const codes = [...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, code = '']) => code)
      assert.deepEqual(
        codes.filter((code) => !known.has(code)),
        [],
      )
      const metrics = [
        ...text.matchAll(/\b((?:capture|ingest|consumer|stream|log|queue|cache|database|http)_\w+)\b/g),
      ]
        .map(([, name = '']) => name)
        .filter((name) => metricOf(name) === undefined && metricOf(`${name}_bucket`) === undefined)
        .filter((name) => ![...register.keys()].some((one) => one.startsWith(name.replace(/_$/, ''))))
        .filter((name) => !sources.includes(`'${name}'`))
      assert.deepEqual(metrics, [])
      const lines = [...text.matchAll(/journalctl.*grep (?:-E )?'([^']+)'/g)].flatMap(([, pattern = '']) =>
        pattern.split('|'),
      )
      assert.deepEqual(
        lines.filter((line) => !sources.includes(line)),
        [],
      )
    })
  }

  test('stand in the guide, beside their alerts', () => {
    const guide = read('docs/guides/deploy.md')
    const table = [...guide.matchAll(/^\| (`Rowmill.*`) \| \[.*\]\(\.\.\/runbooks\/(.*)\) \|$/gm)].map(
      ([, names = '', page]) => `${page}: ${names}`,
    )
    const expected = [...Map.groupBy(alerts, ({ annotations }) => annotations.runbook)].map(
      ([path, own]) =>
        `${path.replace('docs/runbooks/', '')}: ${own.map(({ alert }) => `\`${alert}\``).join(', ')}`,
    )
    assert.deepEqual(table, expected)
  })
})

/** Words of ClickHouse and of the shell. */
const foreign = ['TOO_MANY_PARTS', 'REDIS_URL', 'KAFKA_HOSTS', 'DATABASE_URL', 'CLICKHOUSE_HOST']
