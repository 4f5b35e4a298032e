import { expect, it } from 'vitest'
import { SourceCount } from './source-count.ts'

it('takes so many from one IPv4 address, and again when they left', () => {
  const count = new SourceCount(2)
  expect([count.enter('192.0.2.1'), count.enter('192.0.2.1'), count.enter('192.0.2.1')]).toEqual([true, true, false])
  expect(count.enter('192.0.2.2')).toBe(true)
  count.leave('192.0.2.1')
  expect(count.enter('192.0.2.1')).toBe(true)
})

it('counts an IPv6 /64 as one source', () => {
  const count = new SourceCount(1)
  expect(count.enter('2001:db8:0:1::5')).toBe(true)
  expect(count.enter('2001:db8:0:1:aaaa:bbbb:cccc:dddd')).toBe(false)
  expect(count.enter('2001:db8::1:0:0:0:7')).toBe(false)
  expect(count.enter('2001:db8:0:2::5')).toBe(true)
  expect(count.enter('fe80::1%eth0')).toBe(true)
  expect(count.enter('fe80::2%eth1')).toBe(false)
})

it('does not count this machine, where proxies connect from', () => {
  const count = new SourceCount(0)
  expect([count.enter('127.0.0.1'), count.enter('127.9.9.9'), count.enter('::1')]).toEqual([true, true, true])
  expect(count.enter('192.0.2.1')).toBe(false)
})

it('counts this machine too where no proxy can come from', () => {
  const count = new SourceCount(1, 'all')
  expect([count.enter('127.0.0.1'), count.enter('127.0.0.1'), count.enter('127.0.0.2')]).toEqual([true, false, true])
  count.leave('127.0.0.1')
  expect([count.enter('127.0.0.1'), count.enter('::1'), count.enter('::1')]).toEqual([true, true, false])
})
