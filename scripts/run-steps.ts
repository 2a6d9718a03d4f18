/** Runs commands one after another, says how long each took, and stops at the first that fails. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export type Step = {
  name: string
  command: string
  arguments: readonly string[]
  environment?: Record<string, string>
}

/** Whether all succeeded; the exit code is set when not. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  for (const step of steps) {
    const startedAt = performance.now()
    process.stdout.write(`\n== ${step.name}\n`)
    const child = spawn(step.command, step.arguments, {
      stdio: 'inherit',
      env: { ...process.env, ...step.environment },
    })
    const [code] = (await once(child, 'exit')) as [number | null]
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    if (code !== 0) {
      process.stdout.write(`== ${step.name}: failed after ${seconds} s\n`)
      process.exitCode = 1
      return false
    }
    process.stdout.write(`== ${step.name}: ${seconds} s\n`)
  }
  return true
}
