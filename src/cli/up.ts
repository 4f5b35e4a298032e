/** `webmesh up`: a peer that runs until it is interrupted. */
import { addressText } from '../core/base/address.ts'
import { REF_RENDEZVOUS_MAX } from '../core/crypto/peer-ref.ts'
import { Mesh, type MeshOptions, type Service } from '../index.node.ts'
import { CAPACITY_MAX, CAPACITY_MIN } from '../mesh/mesh-options.ts'
import { serviceNameOf } from '../mesh/target.ts'
import { type CliCall, type CliCommand, type Flags, JOIN_OPTION, JSON_OPTION, STORE_OPTION } from './command.ts'
import { pathText, type Report, shortId } from './report.ts'
import { interrupted } from './waiting.ts'

export const up: CliCommand = {
  name: 'up',
  summary: 'run a peer until interrupted',
  endless: true,
  usage: '[--listen HOST:PORT]... [--join REF]... [--store DIR] [options]',
  operands: [],
  options: {
    ...JSON_OPTION,
    ...STORE_OPTION,
    ...JOIN_OPTION,
    listen: { type: 'string', multiple: true },
    announce: { type: 'string', multiple: true },
    service: { type: 'string', multiple: true },
    lan: { type: 'boolean' },
    'webrtc-port': { type: 'string' },
    'no-webrtc': { type: 'boolean' },
    'udp-port': { type: 'string' },
    capacity: { type: 'string' },
    'no-relay': { type: 'boolean' },
    'relay-rate': { type: 'string' },
    'relay-circuits': { type: 'string' },
    rendezvous: { type: 'string' },
    'no-port-mapping': { type: 'boolean' },
    'no-remembered': { type: 'boolean' },
  },
  help: `Runs a peer until it is interrupted (Ctrl-C), then leaves politely.

  --listen HOST:PORT   take connections there; 0.0.0.0:4100, [::]:4100, 127.0.0.1:0
                       (port 0: any free one). Without it the peer only dials.
  --join REF           a way into the mesh: a ref (webmesh:…), an address
                       (tcp://host:port), a URL that lists refs
                       (https://host/refs.json), a DNS name whose TXT records hold
                       them (dns:name). Any one that works is enough. Without it
                       the peer starts a mesh of its own, or finds peers that its
                       store remembers.
  --lan                find peers of the local network by mDNS, and show them the
                       way in.
  --store DIR          keep identity, remembered peers and records there. Without
                       it they live in memory, and the identity is a new one.
  --no-remembered      forget the peers that the store remembers: to come into
                       another mesh with the same identity.
  --announce ADDRESS   tell others this address instead of the bound ones
                       (tcp://my.example:4100 where a port is forwarded,
                       wss://my.example:443 where a proxy ends TLS,
                       webrtc://203.0.113.5:4100, with this peer's certificate).
  --service NAME       be a member of this service, like chat.example/1.
  --webrtc-port N      the UDP port for WebRTC from pages, which need no TLS
                       certificate for it; the number of each port that listens
                       unless given, 0 for any.
  --no-webrtc          take no WebRTC from pages that know only the address.
  --udp-port N         the UDP port for STUN and punched wires; the one above the
                       first port that listens unless given, 0 for any.
  --capacity N         how many links to carry, 4 to 4096.
  --no-relay           do not forward circuits for others.
  --relay-rate N       forward at most N bytes a second for others, shared fairly.
  --relay-circuits N   forward at most N circuits at once; 4096 unless given.
  --rendezvous N       where nobody can dial this peer, the peers to name through
                       which it is reached, 1 to 4; 3 unless given.
  --no-port-mapping    do not ask the gateway to map the ports (PCP, NAT-PMP, UPnP),
                       nor to open its firewall to them by IPv6 (PCP); it is asked
                       only where the machine has no public address by IPv4.
  --json               one JSON object a line. The first is
                       {"event":"ready","peer":…,"ref":"webmesh:…","listen":[…]},
                       then link, unlink, self (a newer ref), closed (a host that
                       others cannot dial), member, message and warning events.

--listen, --join, --announce and --service may be given several times.`,

  async run(call: CliCall): Promise<void> {
    const { flags, report, signal } = call
    const services = flags.list('service').map(serviceNameOf)
    const webrtcPort = flags.number('webrtc-port', 0, true, 65_535)
    const mesh = await Mesh.start({
      store: flags.text('store'),
      listen: flags.list('listen'),
      join: flags.list('join'),
      announce: flags.list('announce').length > 0 ? flags.list('announce') : undefined,
      lan: flags.has('lan'),
      webrtcPort: flags.has('no-webrtc') ? false : webrtcPort,
      udpPort: flags.number('udp-port', 0, true, 65_535),
      capacity: flags.number('capacity', CAPACITY_MIN, true, CAPACITY_MAX),
      relays: relaysOf(flags),
      rendezvous: flags.number('rendezvous', 1, true, REF_RENDEZVOUS_MAX),
      portMapping: !flags.has('no-port-mapping'),
      remembered: !flags.has('no-remembered'),
      signal,
    })
    try {
      sayReady(mesh, report)
      sayEvents(mesh, report)
      for (const name of services) sayService(await mesh.join(name, { signal }), report)
      await interrupted(signal)
    } finally {
      await mesh.close()
    }
  },
}

function relaysOf(flags: Flags): MeshOptions['relays'] {
  const limits = {
    bytesPerSecond: flags.number('relay-rate', 1, true),
    circuits: flags.number('relay-circuits', 1, true),
  }
  return flags.has('no-relay') ? false : limits
}

function sayReady(mesh: Mesh, report: Report): void {
  const { id, ref, listening } = mesh
  const text = [
    `${report.paint('bold', 'peer')}     ${id}`,
    `${report.paint('bold', 'listens')}  ${listening.length > 0 ? listening.join(' ') : 'nowhere: it only dials'}`,
    `${report.paint('bold', 'ref')}      ${ref}`,
    '',
    'Others join through this peer with',
    '',
    `  webmesh up --join ${ref}`,
    '',
    ...listening.slice(0, 1).flatMap(place => [`or, in a browser, at ${pageOf(place)}`, '']),
  ].join('\n')
  report.event('ready', { peer: id, ref, listen: listening }, text)
}

/** Where the page of a port is, for somebody at this machine. */
function pageOf(place: string): string {
  return `${place.replace('tcp://', 'http://').replace(/\/\/(0\.0\.0\.0|\[::\]):/, '//localhost:')}/`
}

function sayEvents(mesh: Mesh, report: Report): void {
  const linked = report.paint('green', 'link')
  const unlinked = report.paint('yellow', 'unlink')
  for (const link of mesh.status().links)
    report.event('link', { ...link }, `${linked}    ${shortId(link.peer)}  ${link.role}, ${pathText(link.path)}`)
  mesh.addEventListener('link', ({ peer, role, path }) => {
    report.event('link', { peer, role, path }, `${linked}    ${shortId(peer)}  ${role}, ${pathText(path)}`)
  })
  mesh.addEventListener('unlink', ({ peer, error }) => {
    report.event('unlink', { peer, code: error.code }, `${unlinked}  ${shortId(peer)}  ${error.code}`)
  })
  // Whoever copied the first ref should have the one with the address that others can dial.
  let told = addressesOf(mesh)
  let closed: readonly string[] = []
  mesh.addEventListener('self', ({ ref }) => {
    const addresses = addressesOf(mesh)
    const places = addresses === '' ? 'no address of its own' : addresses
    const text = addresses === told ? null : `${report.paint('bold', 'ref')}     now at ${places}\n        ${ref}`
    told = addresses
    report.event('self', { ref }, text)
    const hosts = mesh.status().dialIn.flatMap(({ host, state }) => (state === 'closed' ? [host] : []))
    for (const host of hosts.filter(host => !closed.includes(host))) {
      report.event('closed', { host }, null)
      report.note(`webmesh: nobody can dial ${host}, a firewall is before it: others come by way of other peers.`)
    }
    closed = hosts
  })
  const warn = ({ code, message }: { code: string; message: string }): void => {
    report.event('warning', { code, message }, null)
    report.note(`webmesh: ${message}`)
  }
  for (const warning of mesh.status().warnings) warn(warning)
  mesh.addEventListener('warning', ({ error }) => warn(error))
}

function addressesOf({ peerRef }: Mesh): string {
  return peerRef.addresses.map(addressText).join(' ')
}

function sayService(service: Service, report: Report): void {
  const { name } = service
  const say = (peer: Mesh['id'], present: boolean): void => {
    const what = present ? 'joined' : 'left'
    report.event('member', { service: name, peer, present }, `member  ${shortId(peer)}  ${what} ${name}`)
  }
  for (const member of service.members) say(member.peer, true)
  service.addEventListener('member', ({ peer, present }) => say(peer, present))
  service.addEventListener('message', ({ from, data }) => {
    const text = new TextDecoder().decode(data)
    report.event('message', { service: name, from, text, bytes: data.length }, null)
  })
}
