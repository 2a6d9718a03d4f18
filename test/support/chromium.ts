/** Debian's Chromium, where there is one. */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const path = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((candidate) =>
  existsSync(candidate),
)

/** Why browser tests cannot run here, or false. */
export const noBrowser: string | false =
  path === undefined ? 'SKIPPED: no Chromium on this machine (Debian package chromium)' : false

export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    ...(path === undefined ? {} : { executablePath: path }),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
