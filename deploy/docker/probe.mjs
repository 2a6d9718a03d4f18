/**
 * Asks the Rowmill of this container for a status page: `node probe.mjs /_readiness`. Ends with 0 when it is answered
 * 200, with 1 and what was said instead otherwise. The images hold no curl.
 */
const [path = '/_readiness'] = process.argv.slice(2)
// Kubernetes sets ROWMILL_PORT=tcp://… for a service called rowmill; Rowmill does not take that, nor does this.
const port = [process.env.ROWMILL_PORT, process.env.PORT].find((text) => /^\d+$/.test(text ?? '')) ?? '8000'

try {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(4000) })
  const said = (await answer.text()).trim()
  if (!answer.ok) {
    process.stdout.write(`${answer.status} ${said}\n`)
    process.exitCode = 1
  }
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
