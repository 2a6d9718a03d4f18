/** An authority and a server's certificate, made by openssl, valid for 127.0.0.1 and localhost. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type Certificates = { caFile: string; certFile: string; keyFile: string }

/** Files in `folder`, whose names begin with `name`. */
export async function makeCertificates(folder: string, name = 'tls'): Promise<Certificates> {
  const file = (part: string) => join(folder, `${name}-${part}`)
  const openssl = (...args: string[]) => run('openssl', args)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl(
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=Rowmill test authority'],
    ...['-keyout', file('ca.key'), '-out', file('ca.crt')],
  )
  await openssl(
    ...['req', ...key, '-subj', '/CN=127.0.0.1', '-keyout', file('server.key'), '-out', file('server.csr')],
  )
  await writeFile(file('server.ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  await openssl(
    ...['x509', '-req', '-in', file('server.csr'), '-CA', file('ca.crt'), '-CAkey', file('ca.key')],
    ...['-CAcreateserial', '-days', '2', '-extfile', file('server.ext'), '-out', file('server.crt')],
  )
  return { caFile: file('ca.crt'), certFile: file('server.crt'), keyFile: file('server.key') }
}
