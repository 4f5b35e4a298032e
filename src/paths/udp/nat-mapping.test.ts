import { describe, expect, it } from 'vitest'
import { judgeMapping } from './nat-mapping.ts'

const OWN = [{ host: '10.0.0.2', port: 5_000 }]
const at = (host: string, port: number) => ({ host, port })
const MAPPED = at('192.0.2.1', 5_000)
const VICTIM = at('203.0.113.9', 80)

describe('what helpers tell of a NAT', () => {
  it.each([
    ['nobody answered', [], 'unknown', []],
    ['one answered', [MAPPED], 'unknown', [MAPPED]],
    ['two saw the same', [MAPPED, MAPPED], 'independent', [MAPPED, MAPPED]],
    ['two saw different ports', [MAPPED, at('192.0.2.1', 6_000)], 'dependent', [MAPPED, at('192.0.2.1', 6_000)]],
    ['there is no NAT', [OWN[0]!], 'independent', OWN],
    ['IPv6 alone', [at('2001:db8:0:0:0:0:0:1', 5_000)], 'unknown', [at('2001:db8:0:0:0:0:0:1', 5_000)]],
    [
      'one of three lies: the NAT looks no worse, and the place it named is told to nobody',
      [MAPPED, VICTIM, MAPPED],
      'independent',
      [MAPPED, MAPPED],
    ],
    ['one lies where there is no NAT', [VICTIM, OWN[0]!], 'independent', OWN],
  ] as const)('%s', (_what, seen, mapping, places) => {
    expect(judgeMapping(seen, OWN)).toEqual({ mapping, places })
  })
})
