import { describe, expect, it } from 'vitest'
import { parseServiceName } from './service-name.ts'

describe('a service name', () => {
  it.each(['chat.example/1', 'a/0', '9p/65535', 'x_y-z.w/10', `${'n'.repeat(64)}/7`])('may be %s', text => {
    expect(parseServiceName(text)).toEqual({ ok: true, value: text })
  })

  it.each([
    'chat.example',
    'Chat.example/1',
    'chat example/1',
    'chat/01',
    'chat/65536',
    'chat/-1',
    'chat/1/2',
    '/1',
    '.hidden/1',
    'chät/1',
    `${'n'.repeat(65)}/7`,
    '',
  ])('may not be "%s"; the fault says which form is right', text => {
    const parsed = parseServiceName(text)
    expect(parsed.ok || parsed.fault).toMatchObject({ code: 'invalid-service-name' })
    expect(parsed.ok || parsed.fault.detail).toContain('chat.example/1')
  })
})
