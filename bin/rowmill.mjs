#!/usr/bin/env node
// Checks the runtime before anything is loaded, because older ones cannot even parse the sources.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 18)) {
  process.stderr.write(
    `Rowmill needs Node 24.18 or newer and this is ${process.version}. In a checkout, "npm ci" brings it and "npm start" uses it.\n`,
  )
  process.exitCode = 1
} else {
  // Halves the time that loading takes. Where the folder cannot be written there is none, and that is all.
  const { enableCompileCache } = await import('node:module')
  const { fileURLToPath } = await import('node:url')
  enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/rowmill', import.meta.url)))
  const { main } = await import('../src/main.ts')
  await main(process)
}
