import { expect, it } from 'vitest'
import { isGlobalHost, isPublicIpv4 } from './global-host.ts'

it.each([
  '5.45.100.7',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.0.1',
  '172.32.0.1',
  '169.253.0.1',
  '192.167.0.1',
  '192.169.0.1',
  '2a02:8071::1',
  '2001:db8::1',
  '3fff::1',
  '::ffff:5.45.100.7',
  'peer.example',
  'localhost.example',
])('%s means the same from anywhere', host => {
  expect(isGlobalHost(host)).toBe(true)
})

it.each([
  '10.1.2.3',
  '127.0.0.1',
  '100.64.0.1',
  '100.127.255.255',
  '169.254.7.7',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.5',
  '0.0.0.0',
  '224.0.0.251',
  '255.255.255.255',
  '300.1.1.1',
  '5.45.100',
  '::1',
  '::',
  'fe80::1',
  'fd00:5eed::1',
  'fc00::1',
  'ff02::fb',
  '200::1',
  '::ffff:10.0.0.1',
  'localhost',
  'printer',
  'printer.local',
  'api.internal',
  'nas.home.arpa',
  'web.localhost',
])('%s means something within one network alone', host => {
  expect(isGlobalHost(host)).toBe(false)
})

it.each([
  ['5.45.100.1', true],
  ['192.0.2.2', true],
  ['100.63.255.255', true],
  ['100.128.0.0', true],
  ['172.15.0.1', true],
  ['172.32.0.1', true],
  ['100.64.0.0', false],
  ['100.127.255.255', false],
  ['10.255.0.1', false],
  ['172.16.0.1', false],
  ['172.31.255.1', false],
  ['192.168.0.1', false],
  ['169.254.1.1', false],
  ['127.0.0.1', false],
  ['0.0.0.0', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['300.1.1.1', false],
  ['fd00::1', false],
  ['my.example', false],
])('%s is public: %s', (host, isPublic) => {
  expect(isPublicIpv4(host)).toBe(isPublic)
})
