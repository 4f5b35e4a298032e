/**
 * A peer that listens where nobody from outside can dial it, behind a NAT whose router maps nothing or with an address of its own
 * behind a firewall: strangers come to it by the rendezvous in its ref (spec 5.2), its neighbours by its address.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressText } from '../../src/core/base/address.ts'
import type { PeerRef } from '../../src/core/crypto/peer-ref.ts'
import { parseRefText } from '../../src/core/crypto/peer-ref.ts'
import { nativeSuite } from '../../src/host/native-suite.node.ts'
import { killAll, type WebmeshProcess, webmeshIn } from '../cli/webmesh-process.fixtures.ts'
import { NatLab, noLab } from './nat-lab.ts'

const WHY_NOT = noLab()
const LISTEN = ['--listen', '0.0.0.0:4100', '--no-port-mapping']

let lab: NatLab
const refs: string[] = []

async function openPublicPeers(): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    const argv = ['up', '--json', '--listen', '[::]:4100', ...refs.flatMap(ref => ['--join', ref])]
    const peer = webmeshIn(lab.publicHost().namespace, ...argv)
    refs.push(String((await peer.event('ready')).ref))
  }
}

/** The newest ref that a peer told of itself, as it can be mailed. */
function mailOf(peer: WebmeshProcess): { readonly text: string; readonly ref: PeerRef } {
  const told = peer.events.filter(({ event }) => event === 'ready' || event === 'self').at(-1)
  const read = parseRefText(nativeSuite, String(told?.ref), Date.now())
  if (!read.ok) throw new Error(`the ref of a peer: ${read.fault.code}`)
  return { text: String(told?.ref), ref: read.value }
}

if (WHY_NOT === null) describe('a peer that listens behind a NAT without port mapping', behindNat)
else
  it('a peer that listens behind a NAT without port mapping', context => {
    console.warn(`the lab for peers at private addresses is left out: ${WHY_NOT}`)
    context.annotate(WHY_NOT)
  })

function behindNat(): void {
  beforeAll(async () => {
    lab = new NatLab()
    await openPublicPeers()
  })

  afterAll(async () => {
    await killAll()
    lab.close()
  })

  it('is reached from behind another NAT by its ref alone, and from next door at its address', async () => {
    const { namespace } = lab.hostBehind('port-restricted')
    const peer = webmeshIn(namespace, 'up', '--json', ...LISTEN, '--join', refs[0]!)
    const { peer: id } = await peer.event('ready')
    await peer.event('self', () => mailOf(peer).ref.rendezvous.length === 3)
    const { text, ref } = mailOf(peer)
    expect(ref.addresses.map(addressText)).toContainEqual(expect.stringMatching(/^tcp:\/\/10\..*:4100$/))

    const elsewhere = lab.hostBehind('port-restricted').namespace
    const ping = webmeshIn(elsewhere, 'ping', text, '--count', '1', '--json')
    expect(await ping.exit(), ping.stderr).toBe(0)
    expect(ping.events[0]).toMatchObject({ peer: id })

    const beside = webmeshIn(namespace, 'ping', text, '--count', '1', '--json')
    expect(await beside.exit(), beside.stderr).toBe(0)
    expect(beside.events[0]).toMatchObject({ path: { kind: 'wire', transport: 'tcp' } })
  })

  it('with an address of its own and a firewall before it, is told so by others, and is reached by its ref alone', async () => {
    const { namespace } = lab.hostWithIpv6('port-restricted')
    const both = ['--listen', '[::]:4100', '--no-port-mapping']
    const peer = webmeshIn(namespace, 'up', '--json', ...both, '--join', refs[0]!)
    const { peer: id, ref: first } = await peer.event('ready')
    const isGlobal6 = /2a0e:5eed:/
    const isGlobal = (text: string): boolean => isGlobal6.test(text)
    const before = parseRefText(nativeSuite, String(first), Date.now())
    expect(before.ok && before.value.addresses.map(addressText).some(isGlobal)).toBe(true)

    await peer.event('self', () => mailOf(peer).ref.rendezvous.length === 3)
    const { text, ref } = mailOf(peer)
    expect(ref.addresses.map(addressText).filter(isGlobal)).toEqual([])
    expect(await peer.event('closed')).toMatchObject({ host: expect.stringMatching(isGlobal6) })
    for (const stranger of [lab.hostWithIpv6().namespace, lab.hostBehind('port-restricted').namespace]) {
      const ping = webmeshIn(stranger, 'ping', text, '--count', '1', '--json')
      expect(await ping.exit(), ping.stderr).toBe(0)
      expect(ping.events[0]).toMatchObject({ peer: id })
    }
  })

  it('the doctor tells who can be dialled and who cannot', async () => {
    const dialIn = async (namespace: string): Promise<unknown> => {
      const doctor = webmeshIn(namespace, 'doctor', '--json', '--join', refs[0]!, '--no-port-mapping')
      expect(await doctor.exit(), doctor.stderr).toBe(0)
      return doctor.events.find(({ check }) => check === 'dial-in')
    }
    const state = (expected: string): unknown => expect.objectContaining({ state: expected })
    expect(await dialIn(lab.hostWithIpv6().namespace)).toMatchObject({ verdict: 'poor', hosts: [state('closed')] })
    const open = { verdict: 'fine', hosts: [state('open'), state('open')] }
    expect(await dialIn(lab.publicHost().namespace)).toMatchObject(open)
  })
}
