import type { Finding } from '../../platform/doctor/finding.ts'
import { examine } from '../../platform/doctor.ts'
import type { Command, Terminal } from '../command.ts'
import { colour, json } from '../output.ts'

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'Check the machine, the settings and every engine, and say what to do.',
  usage: 'doctor',
  options: {},
  async run({ config, terminal, isJson, signal }) {
    const findings = await examine(() => config().config, { signal })
    terminal.out(isJson ? json(findings) : findings.map((finding) => describe(terminal, finding)).join(''))
    return findings.some(({ state }) => state === 'bad') ? 3 : 0
  },
}

const marks = { good: ['green', 'ok  '], doubtful: ['yellow', 'look'], bad: ['red', 'bad '] } as const

function describe(terminal: Terminal, finding: Finding): string {
  const [name, mark] = marks[finding.state]
  const advice = finding.advice === undefined ? '' : `\n     ${colour(terminal, 'bold', finding.advice)}`
  return `${colour(terminal, name, mark)} ${finding.subject}: ${finding.says}${advice}\n`
}
