/**
 * What peers learn of the network that their machine is in, behind real NATs in namespaces: their kinds, and ports mapped by a real
 * router's daemon (miniupnpd). From the command line and, where a user cannot choose (protocol, lease), by the port mapper itself
 * as it was built.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { addressText } from '../../src/core/base/address.ts'
import { parseRefText } from '../../src/core/crypto/peer-ref.ts'
import { nativeSuite } from '../../src/host/native-suite.node.ts'
import type { MapperState, PortMapperOptions } from '../../src/paths/port-mapping/port-mapper.node.ts'
import type { MappingProtocol } from '../../src/paths/port-mapping/port-mapping.ts'
import { noChromium } from '../browser/chromium.fixtures.ts'
import { killAll, WebmeshProcess, webmeshIn } from '../cli/webmesh-process.fixtures.ts'
import { type MappingRouter, type MappingRouterOptions, NatLab, noLab, noPortMapping } from './nat-lab.ts'

const WHY_NOT = noLab() ?? noPortMapping()

const MAPPER = fileURLToPath(new URL('../../dist/paths/port-mapping/port-mapper.node.js', import.meta.url))
const LISTEN = ['--listen', '0.0.0.0:4100']
const LISTEN_BOTH = ['--listen', '[::]:4100']

/** Answers the search, and a request with bytes that never end. */
const ENDLESS_GATEWAY = `
  const own = process.argv[1]
  const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true })
  socket.on('message', (_, from) => socket.send([
    'HTTP/1.1 200 OK', 'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1', 'LOCATION: http://' + own + ':5000/', '', '',
  ].join('\\r\\n'), from.port, from.address))
  require('node:http').createServer((_, response) => {
    console.log('asked')
    response.on('error', () => {})
    const more = () => { while (response.write('<service>'.repeat(1000))) {} }
    response.on('drain', more)
    more()
  }).listen(5000, own, () => socket.bind(1900, () => {
    socket.addMembership('239.255.255.250', own)
    console.log('ready')
  }))`

let lab: NatLab
/** Three peers of the public segment that others join through. */
const open: WebmeshProcess[] = []
const refs: string[] = []
/** A public machine without a peer. */
let outside: string

async function openPublicPeers(): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    const argv = ['up', '--json', ...LISTEN_BOTH, ...refs.flatMap(ref => ['--join', ref])]
    const peer = new WebmeshProcess(argv, ['ip', 'netns', 'exec', lab.publicHost().namespace])
    open.push(peer)
    refs.push(String((await peer.event('ready')).ref))
  }
}

async function router(options: MappingRouterOptions = {}): Promise<MappingRouter> {
  return lab.hostBehindMapping(options)
}

/** A peer behind it that joined through the public ones. */
function hidden({ namespace }: MappingRouter, ...argv: string[]): WebmeshProcess {
  return webmeshIn(namespace, 'up', '--json', ...refs.flatMap(ref => ['--join', ref]), ...argv)
}

/** The addresses of the newest ref that a peer told of itself. */
function addressesOf(peer: WebmeshProcess): readonly string[] {
  const told = peer.events.filter(({ event }) => event === 'ready' || event === 'self').at(-1)
  const ref = parseRefText(nativeSuite, String(told?.ref), Date.now())
  return ref.ok ? ref.value.addresses.map(addressText) : []
}

async function announces(peer: WebmeshProcess, address: string): Promise<void> {
  await peer.event('self', () => addressesOf(peer).includes(address))
}

async function findings(process: WebmeshProcess): Promise<Map<unknown, Record<string, unknown>>> {
  await process.exit()
  return new Map(process.events.map(event => [event.check ?? event.event, event]))
}

/** The mapper as built, in a process of its own: its states as they come; `close` ends it politely. */
class Mapper {
  readonly states: MapperState[] = []
  private readonly child: ChildProcess
  private onState: () => void = () => {}

  constructor(
    { namespace }: MappingRouter,
    options: Omit<PortMapperOptions, 'onChange' | 'udpPort' | 'webrtcPort'> & { udpPort?: number; webrtcPort?: number },
  ) {
    const program = `
      const { PortMapper } = await import(${JSON.stringify(MAPPER)})
      const onChange = state => console.log(JSON.stringify(state))
      const mapper = new PortMapper({ udpPort: null, webrtcPort: null, ...${JSON.stringify(options)}, onChange })
      process.stdin.resume().once('end', async () => { await mapper.close(); process.exit(0) })`
    const argv = ['netns', 'exec', namespace, process.execPath, '--input-type=module', '-e', program]
    this.child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout! }).on('line', line => {
      this.states.push(JSON.parse(line) as MapperState)
      this.onState()
    })
    mappers.add(this)
  }

  async until(fits: (state: MapperState) => boolean): Promise<MapperState> {
    for (;;) {
      const found = this.states.find(fits)
      if (found !== undefined) return found
      await new Promise<void>(resolve => {
        this.onState = resolve
      })
    }
  }

  async close(): Promise<number | null> {
    const ended = new Promise<number | null>(resolve => this.child.once('exit', resolve))
    this.child.stdin?.end()
    return ended
  }

  kill(): void {
    this.child.kill('SIGKILL')
  }
}
const mappers = new Set<Mapper>()

/** A tab of Chromium as a peer, in a namespace. */
class LabPage {
  /** What it told of itself, or why it is not in. */
  readonly said: Record<string, unknown>
  private readonly child: ChildProcess

  private constructor(child: ChildProcess, said: Record<string, unknown>) {
    this.child = child
    this.said = said
  }

  static async open(namespace: string, join: readonly string[]): Promise<LabPage> {
    const outdir = fileURLToPath(new URL('../../dist.bench', import.meta.url))
    const shared = { bundle: true, format: 'esm', outdir, logLevel: 'warning' } as const
    const sources = fileURLToPath(new URL('.', import.meta.url))
    await build({
      ...shared,
      entryPoints: { 'natlab-page': `${sources}lab-page.ts` },
      platform: 'node',
      packages: 'external',
    })
    const script = { entryPoints: { 'natlab-script': `${sources}lab-script.ts` }, conditions: ['browser'] }
    await build({ ...shared, ...script, platform: 'browser', target: 'es2022' })
    const argv = ['netns', 'exec', namespace, process.execPath, `${outdir}/natlab-page.js`, JSON.stringify({ join })]
    const child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    // reason: JSON.parse gives any; the tests compare what is in it.
    const said = new Promise<Record<string, unknown>>(resolve =>
      lines.once('line', line => resolve(JSON.parse(line) as Record<string, unknown>)),
    )
    const ended = new Promise<Record<string, unknown>>(resolve => child.once('exit', code => resolve({ code })))
    return new LabPage(child, await Promise.race([said, ended]))
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return
    const ended = new Promise(resolve => this.child.once('exit', resolve))
    this.child.stdin?.end()
    await ended
  }
}

if (WHY_NOT === null) describe('behind a router', behindRouter)
else
  it('behind a router', context => {
    console.warn(`the lab for port mapping is left out: ${WHY_NOT}`)
    context.annotate(WHY_NOT)
  })

function behindRouter(): void {
  beforeAll(async () => {
    lab = new NatLab()
    outside = lab.publicHost().namespace
    await openPublicPeers()
  })

  afterEach(async () => {
    for (const mapper of mappers) mapper.kill()
    mappers.clear()
    await killAll()
  })

  afterAll(async () => {
    await Promise.all(open.map(peer => peer.kill()))
    lab.close()
  })

  const protocols: [string, MappingRouterOptions][] = [
    ['PCP', {}],
    ['UPnP', { natPmp: false }],
  ]
  it.each(protocols)('a peer is dialled at its mapped address, by %s, and gives the port back', async (_, options) => {
    const gateway = await router(options)
    const peer = hidden(gateway, ...LISTEN)
    const { peer: id } = await peer.event('ready')
    await announces(peer, `tcp://${gateway.host}:4100`)
    expect(addressesOf(peer)).toEqual([
      `tcp://${gateway.host}:4100`,
      `ws://${gateway.host}:4100`,
      expect.stringMatching(`^webrtc://${gateway.host}:4100/`),
      expect.stringMatching(/^tcp:\/\/10\./),
      expect.stringMatching(/^ws:\/\/10\./),
      expect.stringMatching(/^webrtc:\/\/10\./),
      `udp://${gateway.host}:4101`,
    ])
    expect(gateway.mapped()).toHaveLength(3)

    // By the address alone, from a machine that knows nobody else.
    const ping = webmeshIn(outside, 'ping', `tcp://${gateway.host}:4100`, '--count', '1', '--json')
    expect(await ping.exit()).toBe(0)
    expect(ping.events[0]).toMatchObject({
      peer: id,
      path: { kind: 'wire', transport: 'tcp', remote: `${gateway.host}:4100` },
    })
    // And by its id: others know the address by now.
    const trace = webmeshIn(outside, 'trace', String(id), '--join', refs[0]!, '--json')
    expect(await trace.exit()).toBe(0)
    expect(trace.events.at(-1)).toMatchObject({
      direct: true,
      path: { transport: 'tcp', remote: `${gateway.host}:4100` },
    })

    peer.signal('SIGINT')
    expect(await peer.exit()).toBe(0)
    expect(gateway.mapped()).toEqual([])
  })

  it.skipIf(noChromium !== null)('a page elsewhere calls it at the mapped port of WebRTC', async () => {
    const gateway = await router()
    const peer = hidden(gateway, ...LISTEN)
    await announces(peer, `tcp://${gateway.host}:4100`)
    const address = addressesOf(peer).find(told => told.startsWith(`webrtc://${gateway.host}:`))
    const page = await LabPage.open(outside, [String(address)])
    try {
      // By that address alone, from a machine that knows nobody else.
      expect(page.said).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{64}$/) })
      await peer.event('link', ({ peer: other }) => other === page.said.id)
    } finally {
      await page.close()
    }
  })

  it('tells its new address within seconds after its router got another one', async () => {
    const gateway = await router()
    const peer = hidden(gateway, ...LISTEN)
    await announces(peer, `tcp://${gateway.host}:4100`)
    const fresh = lab.renumber(gateway.namespace)
    const since = performance.now()
    await announces(peer, `tcp://${fresh}:4100`)
    expect(performance.now() - since).toBeLessThan(20_000)
    expect(addressesOf(peer).filter(address => address.includes(gateway.host))).toEqual([])
    const ping = webmeshIn(outside, 'ping', `tcp://${fresh}:4100`, '--count', '1')
    expect(await ping.exit()).toBe(0)
  })

  it('nobody gets in where the ports are not mapped', async () => {
    const gateway = await router()
    const peer = hidden(gateway, ...LISTEN, '--no-port-mapping')
    await peer.event('link')
    const ping = webmeshIn(outside, 'ping', `tcp://${gateway.host}:4100`, '--count', '1')
    expect(await ping.exit()).toBe(1)
    expect(gateway.asked()).toEqual({ unicast: 0, multicast: 0 })
  })

  it('a gateway is not asked where there is nothing to map, and multicast waits for single datagrams to fail', async () => {
    const gateway = await router()
    const needless = [['--listen', '127.0.0.1:0'], [], [...LISTEN, '--announce', 'tcp://my.example:4100']]
    for (const argv of needless) {
      const peer = hidden(gateway, ...argv)
      await peer.event('link')
      peer.signal('SIGINT')
      expect(await peer.exit()).toBe(0)
      expect(gateway.asked()).toEqual({ unicast: 0, multicast: 0 })
    }
    const peer = hidden(gateway, ...LISTEN)
    await announces(peer, `tcp://${gateway.host}:4100`)
    expect(gateway.asked().unicast).toBeGreaterThan(0)
    expect(gateway.asked().multicast).toBe(0)
  })

  it('what a gateway claims is announced only where peers see the same, even after a peer was killed and is back', async () => {
    const liar = await router({ claims: '9.9.9.9' })
    const told = await findings(webmeshIn(liar.namespace, 'doctor', '--json', '--join', refs[0]!))
    expect(told.get('port mapping')).toMatchObject({
      verdict: 'poor',
      mapping: { kind: 'mapped', host: '9.9.9.9', trust: 'contradicted' },
    })
    expect(told.get('address')).toMatchObject({ ipv4: liar.host })
    expect(told.get('done')).toMatchObject({ ok: true })
    expect(liar.mapped()).toEqual([])

    const honest = await router()
    const first = hidden(honest, ...LISTEN)
    await announces(first, `tcp://${honest.host}:4100`)
    await first.kill()
    expect(honest.mapped()).toHaveLength(3)
    const again = hidden(honest, ...LISTEN)
    await announces(again, `tcp://${honest.host}:4100`)
  })

  it('an address that nobody confirms is told of, not announced', async () => {
    const gateway = await router()
    const told = await findings(webmeshIn(gateway.namespace, 'doctor', '--json'))
    expect(told.get('port mapping')).toMatchObject({
      mapping: { kind: 'mapped', host: gateway.host, trust: 'unconfirmed' },
    })
    expect(told.get('done')).toMatchObject({ ok: false, reason: expect.stringContaining('no way in') })
    const peer = webmeshIn(gateway.namespace, 'up', '--json', ...LISTEN)
    await peer.event('ready')
    await expect.poll(() => gateway.mapped().length, { timeout: 10_000 }).toBe(3)
    expect(addressesOf(peer).filter(address => address.includes(gateway.host))).toEqual([])
  })

  it('the doctor tells kinds of NAT apart, as most of several peers see them', async () => {
    const kinds: [string, string, Record<string, unknown>][] = [
      ['public', lab.publicHost().namespace, { kind: 'none', udp: 'fine' }],
      ['full-cone', lab.hostBehind('full-cone').namespace, { kind: 'independent', udp: 'fine' }],
      ['port-restricted', lab.hostBehind('port-restricted').namespace, { kind: 'independent', udp: 'fine' }],
      ['symmetric', lab.hostBehind('symmetric').namespace, { kind: 'dependent', udp: 'fine' }],
      ['ipv6-only', lab.hostWithIpv6().namespace, { kind: 'unknown', udp: 'fine' }],
      ['udp-blocked', lab.hostBehind('udp-blocked').namespace, { kind: 'unknown', udp: 'poor' }],
    ]
    const told: [string, unknown][] = []
    for (const [name, namespace] of kinds) {
      const found = await findings(webmeshIn(namespace, 'doctor', '--json', '--join', refs[0]!, '--no-port-mapping'))
      expect(found.get('done')).toMatchObject({ ok: true })
      told.push([name, { kind: found.get('nat')?.kind, udp: found.get('udp')?.verdict }])
    }
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(kinds.map(([name, , expected]) => [name, expected])))
  })

  it('peers with both families are asked by that which a machine has, or by both', async () => {
    const doctor = async (namespace: string): Promise<Record<string, unknown>> => {
      const found = await findings(webmeshIn(namespace, 'doctor', '--json', '--join', refs[0]!, '--no-port-mapping'))
      const { ipv4, ipv6 } = found.get('address') ?? {}
      return { ipv4, ipv6, asked: found.get('udp')?.asked, answered: found.get('udp')?.answered }
    }
    const ipv6 = expect.stringMatching(/^2a0e:5eed:/)
    expect(await doctor(lab.hostWithIpv6().namespace)).toEqual({ ipv4: null, ipv6, asked: 3, answered: 3 })
    const ipv4 = expect.stringMatching(/^5\.45\./)
    const both = await doctor(lab.hostWithIpv6('port-restricted').namespace)
    expect(both).toEqual({ ipv4, ipv6, asked: 3, answered: 3 })
  })

  it('NAT-PMP alone does as well', async () => {
    const gateway = await router({ upnp: false })
    const mapper = new Mapper(gateway, { tcpPort: 4100, udpPort: 4101, webrtcPort: 4100, protocols: ['nat-pmp'] })
    expect(await mapper.until(({ kind }) => kind !== 'searching')).toEqual({
      kind: 'mapped',
      mapped: {
        protocol: 'nat-pmp',
        gateway: expect.stringMatching(/^10\./),
        host: gateway.host,
        tcpPort: 4100,
        udpPort: 4101,
        webrtcPort: 4100,
      },
    })
    expect(gateway.mapped()).toHaveLength(3)
    expect(await mapper.close()).toBe(0)
    expect(gateway.mapped()).toEqual([])
  })

  it('a lease is renewed before it ends, and made anew where the gateway was restarted, by each protocol', async () => {
    const renewed = async (protocol: MappingProtocol): Promise<void> => {
      const gateway = await router({ leaseSecondsMax: 4 })
      const mapper = new Mapper(gateway, { tcpPort: 4100, protocols: [protocol], leaseSeconds: 4 })
      const grants = (): number => mapper.states.filter(({ kind }) => kind === 'mapped').length
      // Two of them take the lease's time.
      await expect.poll(grants, { timeout: 20_000 }).toBeGreaterThan(3)
      expect(gateway.mapped()).toHaveLength(1)
      await gateway.stop()
      expect(gateway.mapped()).toEqual([])
      await gateway.start()
      await expect.poll(() => gateway.mapped().length, { timeout: 20_000 }).toBe(1)
      expect(await mapper.close()).toBe(0)
      expect(gateway.mapped(), protocol).toEqual([])
    }
    await Promise.all((['pcp', 'nat-pmp', 'upnp'] as const).map(renewed))
  })

  it('a port that another program of the network has already is not taken from it', async () => {
    const gateway = await router()
    const first = new Mapper(gateway, { tcpPort: 4100, protocols: ['upnp'] })
    expect(await first.until(({ kind }) => kind !== 'searching')).toMatchObject({ kind: 'mapped' })
    const before = gateway.mapped()
    const neighbour = lab.neighbourOf(gateway)
    const second = new Mapper({ ...gateway, namespace: neighbour }, { tcpPort: 4100, protocols: ['upnp'] })
    const state = await second.until(({ kind }) => kind !== 'searching')
    expect(state.kind === 'mapped' && state.mapped.tcpPort).not.toBe(4100)
    const third = new Mapper({ ...gateway, namespace: neighbour }, { tcpPort: 4100, protocols: ['pcp'] })
    const other = await third.until(({ kind }) => kind !== 'searching')
    expect(other.kind === 'mapped' && other.mapped.tcpPort).not.toBe(4100)
    expect(gateway.mapped()).toEqual(expect.arrayContaining([...before]))
    await Promise.all([second.close(), third.close()])
    expect(gateway.mapped()).toEqual(before)
  })

  it('a gateway that tells without end is given up', async () => {
    const gateway = await router({ silent: true })
    const argv = ['netns', 'exec', gateway.router, process.execPath, '-e', ENDLESS_GATEWAY, gateway.inside]
    const hostile = spawn('ip', argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const said = createInterface({ input: hostile.stdout })[Symbol.asyncIterator]()
      expect((await said.next()).value).toBe('ready')
      const mapper = new Mapper(gateway, { tcpPort: 4100, protocols: ['upnp'] })
      expect(await mapper.until(({ kind }) => kind === 'none')).toMatchObject({ detail: 'UPnP: no answer' })
      // It was found, and asked for its description.
      expect((await said.next()).value).toBe('asked')
    } finally {
      hostile.kill('SIGKILL')
    }
  })

  it('an end is quick, whatever the gateway does', async () => {
    const silent = await router({ natPmp: false, upnp: false, silent: true })
    for (const protocol of ['pcp', 'nat-pmp', 'upnp'] as const) {
      const mapper = new Mapper(silent, { tcpPort: 4100, protocols: [protocol] })
      await mapper.until(({ kind }) => kind === 'searching')
      const startedAt = performance.now()
      expect(await mapper.close()).toBe(0)
      expect(performance.now() - startedAt).toBeLessThan(1_500)
    }
    const mapper = new Mapper(silent, { tcpPort: 4100 })
    expect(await mapper.until(({ kind }) => kind === 'none')).toMatchObject({
      detail: 'PCP: no answer; NAT-PMP: no answer; UPnP: no answer',
    })
  })

  // The last: its peer serves STUN by IPv6, and others tell of it for a while after it has gone.
  it('a peer is dialled at its own address of IPv6, to which the router opens its firewall by PCP until the peer ends', async () => {
    const gateway = await router({ ipv6: true })
    const address = `tcp://[${gateway.address6}]:4100`
    const closed = hidden(gateway, ...LISTEN_BOTH, '--no-port-mapping')
    await closed.event('closed', ({ host }) => host === gateway.address6)
    expect(gateway.holes()).toEqual([])
    closed.signal('SIGINT')
    await closed.exit()

    const peer = hidden(gateway, ...LISTEN_BOTH)
    await peer.event('ready')
    await expect.poll(() => gateway.holes().length, { timeout: 10_000 }).toBe(3)
    const ping = webmeshIn(outside, 'ping', address, '--count', '1')
    expect(await ping.exit(), ping.stderr).toBe(0)
    const doctor = webmeshIn(gateway.namespace, 'doctor', '--json', '--join', refs[0]!, '--listen', '[::]:4200')
    const found = (await findings(doctor)).get('dial-in')
    expect(found).toMatchObject({ verdict: 'fine', hosts: [{ host: gateway.address6, state: 'open', hole: true }] })
    expect(addressesOf(peer)).toContain(address)
    expect(peer.events.filter(({ event }) => event === 'closed')).toEqual([])
    peer.signal('SIGINT')
    expect(await peer.exit()).toBe(0)
    await expect.poll(() => gateway.holes(), { timeout: 10_000 }).toEqual([])
  })
}
