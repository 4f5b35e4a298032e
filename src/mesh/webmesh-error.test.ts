import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { FaultCode } from '../core/base/fault.ts'
import { SYSTEM_SENTENCES, SYSTEM_WORDS } from './system-words.node.ts'
import { learnSystem, WebmeshError } from './webmesh-error.ts'

learnSystem(SYSTEM_WORDS, SYSTEM_SENTENCES)

/** The codes as the source declares them: the type is gone at run time. */
const CODES = readFileSync(new URL('../core/base/fault.ts', import.meta.url), 'utf8')
  .split('\n')
  .flatMap(line => /^ {2}\| '([a-z-]+)'/.exec(line)?.[1] ?? [])

describe('WebmeshError', () => {
  it('knows every code of the core', () => {
    expect(CODES.length).toBeGreaterThan(30)
    expect(new Set(CODES).size).toBe(CODES.length)
  })

  it.each(CODES)('says in one sentence what happened and what to do: %s', code => {
    // reason: the codes were read from the declaration of this type.
    const fault = { code: code as FaultCode, detail: 'DETAIL', got: 3, limit: 2 }
    const { message } = new WebmeshError(fault)
    expect(message).toMatch(/^[A-Z][^\n]*(: |, )[^\n]*\.$/)
    expect(message).toContain('(DETAIL; got 3, limit 2)')
    expect(new WebmeshError({ code: fault.code }).message).not.toContain('(')
  })

  it.each([
    ['ECONNREFUSED', 'nobody listens there'],
    ['tcp://a:1: ENOTFOUND', 'tcp://a:1: there is no host of that name'],
    ["/x: EEXIST: file already exists, mkdir '/x'", '/x: it is no folder'],
    ['frame-too-large', 'what answers there is no Webmesh peer'],
    ['/home/ENOENTS/x', '/home/ENOENTS/x'],
  ])('puts what systems say in plain words: %s', (detail, words) => {
    expect(new WebmeshError({ code: 'no-way-in', detail }).message).toContain(`(${words})`)
  })

  it('carries code, detail and reset code, and is an Error', () => {
    const error = new WebmeshError({ code: 'stream-reset', detail: 'why' }, 7)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'WebmeshError', code: 'stream-reset', detail: 'why', reset: 7 })
  })
})
