import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOf } from './signature.ts'

/** The credentials and the time of the examples in AWS's documentation of signature version 4 for S3. */
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
}
const nowMs = Date.UTC(2013, 4, 24)
const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const authorization = (headers: string, signature: string) =>
  `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${headers},Signature=${signature}`

const download = {
  method: 'GET',
  target: '/test.txt',
  headers: {
    host: 'examplebucket.s3.amazonaws.com',
    range: 'bytes=0-9',
    'x-amz-content-sha256': empty,
    'x-amz-date': '20130524T000000Z',
    authorization: authorization(
      'host;range;x-amz-content-sha256;x-amz-date',
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ),
  },
  body: Buffer.alloc(0),
}
const listing = {
  ...download,
  target: '/?max-keys=2&prefix=J',
  headers: {
    ...download.headers,
    authorization: authorization(
      'host;x-amz-content-sha256;x-amz-date',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ),
  },
}
const presigned = {
  method: 'GET',
  target:
    '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  headers: { host: 'examplebucket.s3.amazonaws.com' },
  body: Buffer.alloc(0),
}

test('the examples of the documentation are accepted', () => {
  for (const request of [download, listing, presigned])
    assert.equal(refusalOf(request, credentials, nowMs), undefined)
})

test('what is wrong has the code of S3', () => {
  const codeOf = (request: typeof download, at = nowMs, other = {}) =>
    refusalOf(request, { ...credentials, ...other }, at)?.code
  assert.equal(codeOf({ ...download, headers: { ...download.headers, authorization: '' } }), 'AccessDenied')
  assert.equal(codeOf({ ...download, target: '/other.txt' }), 'SignatureDoesNotMatch')
  assert.equal(codeOf({ ...download, body: Buffer.from('x') }), 'XAmzContentSHA256Mismatch')
  assert.equal(codeOf(download, nowMs + 16 * 60_000), 'RequestTimeTooSkewed')
  assert.equal(codeOf(download, nowMs, { secretAccessKey: 'another' }), 'SignatureDoesNotMatch')
  assert.equal(codeOf(download, nowMs, { accessKeyId: 'another' }), 'InvalidAccessKeyId')
  assert.equal(codeOf(download, nowMs, { region: 'eu-west-1' }), 'AuthorizationHeaderMalformed')
  assert.equal(refusalOf(presigned, credentials, nowMs + 86_401_000)?.message, 'Request has expired')
})
