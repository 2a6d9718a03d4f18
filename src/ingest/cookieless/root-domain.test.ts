import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rootDomain } from './root-domain.ts'

const domains: Readonly<Record<string, string>> = {
  '': '',
  'shop.rowmill.example.com': 'example.com',
  'https://app.rowmill.co.uk/deep?x#y': 'rowmill.co.uk',
  'https://name:secret@news.rowmill.org': 'rowmill.org',
  'rowmill.org:8080': 'rowmill.org:8080',
  'localhost:5173': '127.0.0.1:5173',
  'http://127.0.0.1/': '127.0.0.1',
  '192.0.2.4:99': '192.0.2.4:99',
  '2001:0db8:0:0::17': '[2001:db8::17]',
  '[2001:db8::17]:8000': '[2001:db8::17]:8000',
  'http://[::1]': '[::1]',
  'what a host': 'http://what a host',
}

test('a host belongs to its registrable domain, and an address to itself', () => {
  for (const [host, expected] of Object.entries(domains)) assert.equal(rootDomain(host), expected, host)
})
