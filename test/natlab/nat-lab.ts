/**
 * A public segment and hosts behind NATs of all kinds, made of network namespaces, veth pairs and nftables; where it is asked
 * for, with delay on the way to the segment, loss on it, and NATs that soon forget. Root only. All of it bears the name of
 * this process, and `close` takes it away again, whatever happened in between.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** None of the nets for examples: routers that map ports refuse to have an address of one. It leads nowhere from here. */
const PUBLIC_NET = '5.45.100'
const PUBLIC_NET_6 = '2a0e:5eed'
/** Of every router, on its inner side. */
const ROUTER_6 = 'fe80::1'
const ROUTER_LOCAL_6 = 'fd5e::1'

/** Taken from where npm runs its scripts: the lab itself runs as a bundle somewhere else. */
const PUMP = 'test/natlab/delay-pump.py'
/** Every kind twice, and the public peers, have a delayed link each. */
const DELAYED_LINKS_MAX = 40

/** What is made worse than on a bare wire. */
export interface Conditions {
  /** One way, on the link of each host (or of its outermost router) to the public segment. */
  readonly delayMs?: number | undefined
  /** Of the packets between any two on the segment, each way. */
  readonly lossPercent?: number | undefined
  /** After so long without a packet NATs and firewalls forget who may answer over UDP. */
  readonly mappingTimeoutS?: number | undefined
}

/** Why the lab cannot be built here, or null. */
export function noLab(conditions: Conditions = {}): string | null {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const tools = [
    ['ip', '-V', 'iproute2'],
    ['nft', '-v', 'nftables'],
    ['python3', '-V', 'python3-minimal'],
  ] as const
  for (const [tool, flag, holder] of tools) {
    try {
      execFileSync(tool, [flag], { stdio: 'ignore' })
    } catch {
      return `there is no ${tool}: apt-get install ${holder}`
    }
  }
  if ((conditions.delayMs ?? 0) > 0 && !existsSync('/dev/net/tun'))
    return 'there is no /dev/net/tun for links with delay: modprobe tun'
  const probe = `wm-probe-${process.pid}`
  try {
    execFileSync('ip', ['netns', 'add', probe], { stdio: 'ignore' })
    execFileSync('ip', ['netns', 'del', probe], { stdio: 'ignore' })
    return null
  } catch {
    return 'this machine lets nobody make network namespaces'
  }
}

/** Debian's daemon for routers that map ports: what is missing for it, or null. */
export function noPortMapping(): string | null {
  try {
    execFileSync('miniupnpd', ['--version'], { stdio: 'ignore' })
    return null
  } catch {
    return 'there is no miniupnpd: apt-get install miniupnpd-nftables'
  }
}

/** Nobody reaches the router itself: what conntrack knows of such tries would make a cone look symmetric. */
const CLOSED = `
  chain in {
    type filter hook input priority 0
    iifname "wan" ct state new drop
  }`

/** Inside goes out, and what answers comes in; `forward` says what else holds. */
function router({ masquerade = 'masquerade', nat = '', forward = 'iifname "wan" ct state new drop' }): string {
  return `
table ip nat {
  ${nat}
  chain post {
    type nat hook postrouting priority 100
    oifname "wan" ${masquerade}
  }
}
table ip filter {
  ${CLOSED}
  chain forward {
    type filter hook forward priority 0
    ${forward}
  }
}`
}

/**
 * A cone (`HOST` is the one machine behind it): whoever was sent something may answer from any port (address-restricted), or
 * anybody to a port that sent (full cone). Masquerading keeps ports.
 */
function cone(restricted: boolean): string {
  return router({
    nat: `
  set ports {
    type inet_service
    flags dynamic,timeout
    timeout 120s
  }
  set met {
    type ipv4_addr
    flags dynamic,timeout
    timeout 120s
  }
  chain learn {
    type filter hook forward priority -10
    oifname "wan" meta l4proto udp update @ports { udp sport }
    oifname "wan" meta l4proto udp update @met { ip daddr }
  }
  chain pre {
    type nat hook prerouting priority -100
    iifname "wan" ${restricted ? 'ip saddr @met ' : ''}udp dport @ports dnat to HOST
  }`,
    forward: 'iifname "wan" meta l4proto tcp ct state new drop',
  })
}

/** What nftables does at each kind of router. */
const RULES = {
  'full-cone': cone(false),
  'address-restricted': cone(true),
  'port-restricted': router({}),
  symmetric: router({ masquerade: 'masquerade random,fully-random' }),
  'udp-blocked': router({ forward: 'meta l4proto udp drop\n    iifname "wan" ct state new drop' }),
  'only-443': router({
    forward: `oifname "wan" tcp dport 443 accept
    ct state established,related accept
    drop`,
  }),
}

/**
 * As `port-restricted`, but what the daemon maps is let in; and what hosts ask of the router is counted. Its firewall for IPv6 lets
 * in what the daemon has made a hole for, which marks it.
 */
const MAPPING_RULES = `${router({
  forward: 'iifname "wan" ct status dnat accept\n    iifname "wan" ct state new drop',
})}
table inet upnp {
  chain forward { }
  chain firewall {
    type filter hook forward priority 0
    meta nfproto ipv4 accept
    iifname "wan" ct state new jump forward
    iifname "wan" meta l4proto { tcp, udp } ct state new drop
  }
  chain mapped { }
  chain masked { }
  chain prerouting {
    type nat hook prerouting priority -100
    jump mapped
  }
  chain postrouting {
    type nat hook postrouting priority 90
    jump masked
  }
}
table ip asked {
  chain in {
    type filter hook prerouting priority -300
    iifname "lan" udp dport 5351 counter name unicast
    iifname "lan" ip daddr 239.255.255.250 counter name multicast
  }
  counter unicast { }
  counter multicast { }
}`

const FIREWALL_6 = `
table ip6 filter {
  chain in {
    type filter hook input priority 0
    iifname "six" meta l4proto { tcp, udp } ct state new drop
  }
}`

/** Of a kernel's connection tracking, by netlink (`IPCTNL_MSG_CT_DELETE` for all): masquerading forgets its own only. */
const FORGET_CONNECTIONS = `
import socket, struct
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
netlink.send(struct.pack('IHHII', 20, 1 << 8 | 2, 5, 1, 0) + bytes(4))
netlink.recv(64)`

/** Between any two on the segment, whatever they send. */
function lossy(percent: number): string {
  return `
table bridge loss {
  chain across {
    type filter hook forward priority 0
    numgen random mod 10000 < ${Math.round(percent * 100)} drop
  }
}`
}

export type NatKind = keyof typeof RULES

export const NAT_KINDS: readonly NatKind[] = [
  'full-cone',
  'address-restricted',
  'port-restricted',
  'symmetric',
  'udp-blocked',
  'only-443',
]

/** What leads from a machine, or from its outermost router, to the segment. */
interface Outlet {
  readonly namespace: string
  readonly device: string
  /** Its other end, in the segment's namespace. */
  readonly port: string
  readonly address: string
}

export interface PublicHost {
  readonly namespace: string
  readonly address: string
  readonly address6: string
}

export interface MappingRouterOptions {
  /** PCP and NAT-PMP, which are one switch of the daemon; on unless given. */
  readonly natPmp?: boolean
  readonly upnp?: boolean
  /** What it says its address outside is, instead of what it is. */
  readonly claims?: string
  readonly leaseSecondsMax?: number
  /** No daemon, and no word that there is none. */
  readonly silent?: boolean
  /** The machine has IPv6 too, behind a firewall of the router's. */
  readonly ipv6?: boolean
}

/** A router whose daemon maps ports, and the one machine behind it. */
export interface MappingRouter {
  readonly namespace: string
  /** The router's own, and its address inside. */
  readonly router: string
  readonly inside: string
  /** The router's address on the public segment. */
  readonly host: string
  /** The address of IPv6 that the machine has; null where it has none. */
  readonly address6: string | null
  /** Rules of the daemon now: one for each port that it maps. */
  mapped(): readonly string[]
  /** The same, for each hole in its firewall. */
  holes(): readonly string[]
  /** What came from the machine: datagrams to the router's port for PCP and NAT-PMP, and to the group of UPnP. */
  asked(): { readonly unicast: number; readonly multicast: number }
  /** The daemon is gone, and knows nothing any more when it is back. */
  stop(): Promise<void>
  start(): Promise<void>
}

export class NatLab {
  private readonly prefix = `wm${process.pid}`
  private readonly folder = mkdtempSync(join(tmpdir(), 'webmesh-natlab-'))
  private readonly daemons = new Set<ChildProcess>()
  /** What each router has inside, without the last number. */
  private readonly nets = new Map<string, string>()
  /** By machine: the router next to it, where it is behind one, and its way to the segment. */
  private readonly routers = new Map<string, string>()
  private readonly outlets = new Map<string, Outlet>()
  private readonly namespaces: string[] = []
  private readonly segment: string
  private readonly conditions: Conditions
  private pump: ChildProcess | null = null
  private places = 0

  constructor(conditions: Conditions = {}) {
    this.conditions = conditions
    this.segment = this.namespace('segment')
    this.in(this.segment, 'ip', 'link', 'add', 'name', 'bridge', 'type', 'bridge')
    this.in(this.segment, 'ip', 'link', 'set', 'bridge', 'up')
    const { delayMs = 0, lossPercent = 0 } = conditions
    if (lossPercent > 0) this.rules(this.segment, lossy(lossPercent))
    if (delayMs > 0) this.startPump(delayMs)
  }

  /** A machine on the public segment, with both families. */
  publicHost(): PublicHost {
    const name = this.namespace(`p${this.namespaces.length}`)
    const outlet = this.attach(name, 'eth')
    this.outlets.set(name, outlet)
    const address6 = this.addAddress6(name, 'eth')
    // As any machine on the Internet; Firefox speaks only from where its default route leads.
    this.in(name, 'ip', 'route', 'add', 'default', 'dev', 'eth')
    return { namespace: name, address: outlet.address, address6 }
  }

  /** Another way of a public host's onto the segment, by a device and an address of its own. */
  attachAlso({ namespace }: PublicHost, device: string): string {
    return this.attach(namespace, device).address
  }

  /** Runs a command in a namespace of this lab. */
  run(namespace: string, command: readonly string[], input = ''): void {
    execFileSync('ip', ['netns', 'exec', namespace, ...command], { input, stdio: ['pipe', 'ignore', 'inherit'] })
  }

  /** A machine behind routers of these kinds, the one next to it first. */
  hostBehind(...kinds: readonly NatKind[]): { readonly namespace: string } {
    const host = this.namespace(`h${this.namespaces.length}`)
    let inner = host
    for (const [depth, kind] of kinds.entries()) {
      const router = this.namespace(`r${this.namespaces.length}`)
      const net = `10.${this.places % 250}.${depth}`
      this.nets.set(router, net)
      if (depth === 0) this.routers.set(host, router)
      this.link(inner, depth === 0 ? 'eth' : 'wan', router, 'lan')
      this.in(inner, 'ip', 'addr', 'add', `${net}.2/24`, 'dev', depth === 0 ? 'eth' : 'wan')
      this.in(router, 'ip', 'addr', 'add', `${net}.1/24`, 'dev', 'lan')
      this.in(inner, 'ip', 'route', 'add', 'default', 'via', `${net}.1`)
      this.in(router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
      this.rules(router, this.forgetting(RULES[kind]).replaceAll('HOST', `${net}.2`))
      this.forget(router)
      inner = router
    }
    this.outlets.set(host, this.attach(inner, 'wan'))
    return { namespace: host }
  }

  /**
   * A machine's own device on the segment, or that of its outermost router, has another address from here on, as when a provider
   * gives a new one: what the router knew of connections is gone, and what is sent to the old address arrives nowhere.
   */
  renumber(host: string): string {
    const { namespace, device, address, port } = this.outlets.get(host)!
    this.places += 1
    const isSix = address.includes(':')
    const [fresh, bits] = isSix
      ? [`${PUBLIC_NET_6}::${this.places.toString(16)}`, 64]
      : [`${PUBLIC_NET}.${this.places}`, 24]
    const family = isSix ? '-6' : '-4'
    this.in(namespace, 'ip', 'addr', 'del', `${address}/${bits}`, 'dev', device)
    this.in(namespace, 'ip', 'addr', 'add', `${fresh}/${bits}`, 'dev', device, ...(isSix ? ['nodad'] : []))
    this.rules(
      namespace,
      `table ${isSix ? 'ip6' : 'ip'} gone_${this.places} {\n chain in {\n type filter hook prerouting priority -400\n ` +
        `${isSix ? 'ip6' : 'ip'} daddr ${address} drop\n }\n}`,
    )
    this.in(namespace, 'python3', '-c', FORGET_CONNECTIONS)
    if (host === namespace) this.in(namespace, 'ip', family, 'route', 'replace', 'default', 'dev', device)
    else for (const set of ['ports', 'met']) this.in(namespace, 'sh', '-c', `nft flush set ip nat ${set} 2>&1 || true`)
    this.outlets.set(host, { namespace, device, address: fresh, port })
    return fresh
  }

  /** Takes out the cable between a machine and what is next to it, or puts it in again. */
  cable(host: string, isIn: boolean): void {
    const router = this.routers.get(host)
    const [namespace, device] = router === undefined ? [this.segment, this.outlets.get(host)!.port] : [router, 'lan']
    this.in(namespace, 'ip', 'link', 'set', device, isIn ? 'up' : 'down')
  }

  /** To whatever runs there: the lab began it, a browser's own processes among it. */
  signal(namespace: string, signal: NodeJS.Signals): void {
    for (const pid of execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' }).match(/\d+/g) ?? [])
      try {
        process.kill(Number(pid), signal)
      } catch {
        // It has ended.
      }
  }

  async hostBehindMapping(options: MappingRouterOptions = {}): Promise<MappingRouter> {
    const { namespace } = this.hostBehind('port-restricted')
    const router = this.namespaces.at(-1)!
    const host = this.outlets.get(namespace)!.address
    const { natPmp = true, upnp = true, claims, leaseSecondsMax, silent = false, ipv6 = false } = options
    const deaf = silent
      ? 'table ip deaf {\n chain in {\n type filter hook input priority 0\n iifname "lan" udp dport 5351 drop\n }\n}'
      : ''
    this.rules(router, `flush ruleset\n${MAPPING_RULES}\n${deaf}`)
    this.bridgeLan(router)
    const address6 = ipv6 ? this.addIpv6Behind(router, namespace) : null
    const file = join(this.folder, router)
    const yes = (wanted: boolean): string => (wanted ? 'yes' : 'no')
    const lines = [
      'ext_ifname=wan',
      ...(ipv6 ? ['ext_ifname6=wan', 'ipv6_disable=no'] : []),
      'listening_ip=lan',
      'http_port=5000',
      `enable_natpmp=${yes(natPmp)}`,
      `enable_upnp=${yes(upnp)}`,
      'secure_mode=yes',
      `uuid=00000000-0000-0000-0000-${String(process.pid).padStart(12, '0')}`,
      'upnp_table_name=upnp',
      'upnp_nat_table_name=upnp',
      'upnp_forward_chain=forward',
      'upnp_nat_chain=mapped',
      'upnp_nat_postrouting_chain=masked',
      ...(claims === undefined ? [] : [`ext_ip=${claims}`]),
      ...(leaseSecondsMax === undefined ? [] : ['min_lifetime=1', `max_lifetime=${leaseSecondsMax}`]),
      'allow 1024-65535 10.0.0.0/8 1024-65535',
      'deny 0-65535 0.0.0.0/0 0-65535',
    ]
    writeFileSync(`${file}.conf`, `${lines.join('\n')}\n`)
    let daemon: ChildProcess | null = null
    const list = (...what: readonly string[]): string =>
      execFileSync('ip', ['netns', 'exec', router, 'nft', 'list', ...what], { encoding: 'utf8' })
    const count = (name: string): number => Number(/packets (\d+)/.exec(list('counter', 'ip', 'asked', name))?.[1])
    const mapping: MappingRouter = {
      namespace,
      router,
      inside: `${this.nets.get(router)}.1`,
      host,
      address6,
      mapped: () =>
        list('chain', 'inet', 'upnp', 'mapped')
          .split('\n')
          .filter(line => line.includes('dnat')),
      holes: () =>
        list('chain', 'inet', 'upnp', 'forward')
          .split('\n')
          // A whole address of IPv6, where it stands in a packet.
          .filter(line => line.includes('@nh,192,128')),
      asked: () => ({ unicast: count('unicast'), multicast: count('multicast') }),
      stop: async () => {
        if (daemon === null) return
        const ended = new Promise(resolve => daemon?.once('exit', resolve))
        daemon.kill('SIGKILL')
        await ended
        this.daemons.delete(daemon)
        for (const chain of ['mapped', 'forward', 'masked'])
          execFileSync('ip', ['netns', 'exec', router, 'nft', 'flush', 'chain', 'inet', 'upnp', chain])
      },
      start: async () => {
        // Not beside the process: it writes where it was started.
        daemon = spawn('ip', ['netns', 'exec', router, 'miniupnpd', '-d', '-f', `${file}.conf`, '-P', `${file}.pid`], {
          stdio: ['ignore', 'ignore', 'pipe'],
          cwd: this.folder,
        })
        this.daemons.add(daemon)
        await new Promise<void>((resolve, reject) => {
          let said = ''
          daemon?.stderr?.on('data', bytes => {
            said += bytes
            if (/(HTTP listening on|NAT-PMP\/PCP traffic on)/.test(said)) resolve()
          })
          daemon?.once('exit', () => reject(new Error(`miniupnpd ended: ${said}`)))
        })
      },
    }
    if (!silent) await mapping.start()
    return mapping
  }

  /** Another machine in the network of one behind a router. */
  neighbourOf({ namespace }: { readonly namespace: string }): string {
    const router = this.namespaces[this.namespaces.indexOf(namespace) + 1]!
    const name = this.namespace(`h${this.namespaces.length}`)
    const port = `lan${this.namespaces.length}`
    this.link(name, 'eth', router, port)
    this.in(router, 'ip', 'link', 'set', port, 'master', 'lan')
    const net = this.nets.get(router)!
    this.in(name, 'ip', 'addr', 'add', `${net}.3/24`, 'dev', 'eth')
    this.in(name, 'ip', 'route', 'add', 'default', 'via', `${net}.1`)
    return name
  }

  /** An address of the public segment for a machine behind a router, which answers for it there and passes on what comes. */
  private addIpv6Behind(router: string, machine: string): string {
    this.addAddress6(router, 'wan')
    this.places += 1
    const address = `${PUBLIC_NET_6}::${this.places.toString(16)}`
    for (const setting of ['forwarding', 'proxy_ndp'])
      this.in(router, 'sysctl', '-qw', `net.ipv6.conf.all.${setting}=1`)
    this.in(router, 'sysctl', '-qw', 'net.ipv6.conf.wan.proxy_ndp=1')
    this.in(router, 'ip', '-6', 'neigh', 'add', 'proxy', address, 'dev', 'wan')
    this.in(router, 'ip', 'addr', 'add', `${ROUTER_6}/64`, 'dev', 'lan', 'nodad')
    // As home routers have one: without it miniupnpd with UPnP takes nothing by IPv6.
    this.in(router, 'ip', 'addr', 'add', `${ROUTER_LOCAL_6}/64`, 'dev', 'lan', 'nodad')
    this.in(router, 'ip', '-6', 'route', 'add', `${address}/128`, 'dev', 'lan')
    this.in(machine, 'ip', 'addr', 'add', `${address}/128`, 'dev', 'eth', 'nodad')
    this.in(machine, 'ip', '-6', 'route', 'add', 'default', 'via', ROUTER_6, 'dev', 'eth')
    return address
  }

  /** The inner side of a router becomes one to which more machines can be added. */
  private bridgeLan(router: string): void {
    this.in(router, 'ip', 'link', 'set', 'lan', 'down')
    this.in(router, 'ip', 'addr', 'flush', 'dev', 'lan')
    this.in(router, 'ip', 'link', 'set', 'lan', 'name', 'lan0')
    this.in(router, 'ip', 'link', 'add', 'name', 'lan', 'type', 'bridge')
    this.in(router, 'ip', 'link', 'set', 'lan0', 'master', 'lan')
    this.in(router, 'ip', 'addr', 'add', `${this.nets.get(router)!}.1/24`, 'dev', 'lan')
    for (const device of ['lan0', 'lan']) this.in(router, 'ip', 'link', 'set', device, 'up')
  }

  /**
   * A machine with an IPv6 address of its own on the public segment, behind a firewall that lets in only what answers; with
   * `kinds`, IPv4 behind those routers too.
   */
  hostWithIpv6(...kinds: readonly NatKind[]): { readonly namespace: string } {
    const { namespace } =
      kinds.length === 0 ? { namespace: this.namespace(`h${this.namespaces.length}`) } : this.hostBehind(...kinds)
    const outlet = this.attach6(namespace, 'six')
    if (kinds.length === 0) this.outlets.set(namespace, outlet)
    this.rules(namespace, FIREWALL_6)
    this.forget(namespace)
    return { namespace }
  }

  close(): void {
    this.pump?.kill('SIGKILL')
    for (const daemon of this.daemons) daemon.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
    for (const name of this.namespaces.splice(0).reverse()) {
      try {
        this.signal(name, 'SIGKILL')
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
      } catch {
        // It is gone already.
      }
    }
  }

  private namespace(name: string): string {
    const full = `${this.prefix}-${name}`
    execFileSync('ip', ['netns', 'add', full])
    this.namespaces.push(full)
    this.in(full, 'ip', 'link', 'set', 'lo', 'up')
    return full
  }

  private attach6(name: string, device: string): Outlet {
    const port = this.plug(name, device)
    return { namespace: name, device, port, address: this.addAddress6(name, device) }
  }

  /** Without a wait for others that may have it. */
  private addAddress6(name: string, device: string): string {
    const address = `${PUBLIC_NET_6}::${this.places.toString(16)}`
    this.in(name, 'ip', 'addr', 'add', `${address}/64`, 'dev', device, 'nodad')
    this.in(name, 'ip', '-6', 'route', 'add', 'default', 'dev', device)
    return address
  }

  private rules(name: string, text: string): void {
    execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: text })
  }

  /** Onto the public segment. */
  private attach(name: string, device: string): Outlet {
    const port = this.plug(name, device)
    const address = `${PUBLIC_NET}.${this.places}`
    this.in(name, 'ip', 'addr', 'add', `${address}/24`, 'dev', device)
    return { namespace: name, device, port, address }
  }

  /** The name of its end on the segment. */
  private plug(name: string, device: string): string {
    this.places += 1
    let port = `port${this.places}`
    if (this.pump === null) this.link(name, device, this.segment, port)
    else {
      if (this.places > DELAYED_LINKS_MAX)
        throw new Error(`the lab has ${DELAYED_LINKS_MAX} delayed links, and all are taken`)
      port = `far${this.places}`
      this.in(this.segment, 'ip', 'link', 'set', `near${this.places}`, 'netns', name, 'name', device)
      this.in(name, 'ip', 'link', 'set', device, 'up')
      this.in(this.segment, 'ip', 'link', 'set', port, 'up')
    }
    this.in(this.segment, 'ip', 'link', 'set', port, 'master', 'bridge')
    return port
  }

  /** Its devices are there when the last of them is. */
  private startPump(delayMs: number): void {
    const command = ['netns', 'exec', this.segment, 'python3', PUMP, String(delayMs), String(DELAYED_LINKS_MAX)]
    this.pump = spawn('ip', command, { stdio: ['pipe', 'ignore', 'inherit'] })
    const last = `far${DELAYED_LINKS_MAX}`
    this.in(
      this.segment,
      'sh',
      '-c',
      `for i in $(seq 200); do ip link show ${last} 2>&1 | grep -q ${last}: && exit 0; sleep 0.05; done; exit 1`,
    )
  }

  private forgetting(rules: string): string {
    const { mappingTimeoutS } = this.conditions
    return mappingTimeoutS === undefined ? rules : rules.replaceAll('timeout 120s', `timeout ${mappingTimeoutS}s`)
  }

  private forget(router: string): void {
    const { mappingTimeoutS } = this.conditions
    if (mappingTimeoutS === undefined) return
    for (const what of ['udp_timeout', 'udp_timeout_stream'])
      this.in(router, 'sysctl', '-qw', `net.netfilter.nf_conntrack_${what}=${mappingTimeoutS}`)
  }

  private link(one: string, deviceOfOne: string, other: string, deviceOfOther: string): void {
    this.in(
      one,
      'ip',
      'link',
      'add',
      'name',
      deviceOfOne,
      'type',
      'veth',
      'peer',
      'name',
      deviceOfOther,
      'netns',
      other,
    )
    this.in(one, 'ip', 'link', 'set', deviceOfOne, 'up')
    this.in(other, 'ip', 'link', 'set', deviceOfOther, 'up')
  }

  private in(name: string, ...command: readonly string[]): void {
    execFileSync('ip', ['netns', 'exec', name, ...command], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
}
