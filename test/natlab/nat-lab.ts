/**
 * A public segment and hosts behind NATs of all kinds, made of network namespaces, veth pairs and nftables. Root only. All of
 * it bears the name of this process, and `close` takes it away again, whatever happened in between.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** None of the nets for examples: routers that map ports refuse to have an address of one. It leads nowhere from here. */
const PUBLIC_NET = '5.45.100'
const PUBLIC_NET_6 = 'fd00:5eed'

/** Why the lab cannot be built here, or null. */
export function noLab(): string | null {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  for (const [tool, flag] of [
    ['ip', '-V'],
    ['nft', '-v'],
  ] as const) {
    try {
      execFileSync(tool, [flag], { stdio: 'ignore' })
    } catch {
      return `there is no ${tool}: apt-get install iproute2 nftables`
    }
  }
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

/** As `port-restricted`, but what the daemon maps is let in; and what hosts ask of the router is counted. */
const MAPPING_RULES = `${router({
  forward: 'iifname "wan" ct status dnat accept\n    iifname "wan" ct state new drop',
})}
table inet upnp {
  chain forward { }
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

export type NatKind = keyof typeof RULES

export const NAT_KINDS: readonly NatKind[] = [
  'full-cone',
  'address-restricted',
  'port-restricted',
  'symmetric',
  'udp-blocked',
  'only-443',
]

export interface MappingRouterOptions {
  /** PCP and NAT-PMP, which are one switch of the daemon; on unless given. */
  readonly natPmp?: boolean
  readonly upnp?: boolean
  /** What it says its address outside is, instead of what it is. */
  readonly claims?: string
  readonly leaseSecondsMax?: number
  /** No daemon, and no word that there is none. */
  readonly silent?: boolean
}

/** A router whose daemon maps ports, and the one machine behind it. */
export interface MappingRouter {
  readonly namespace: string
  /** The router's own, and its address inside. */
  readonly router: string
  readonly inside: string
  /** The router's address on the public segment. */
  readonly host: string
  /** Rules of the daemon now: one for each port that it maps. */
  mapped(): readonly string[]
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
  private readonly namespaces: string[] = []
  private readonly segment: string
  private places = 0

  constructor() {
    this.segment = this.namespace('segment')
    this.in(this.segment, 'ip', 'link', 'add', 'name', 'bridge', 'type', 'bridge')
    this.in(this.segment, 'ip', 'link', 'set', 'bridge', 'up')
  }

  /** A machine on the public segment, with both families. */
  publicHost(): { readonly namespace: string } {
    const name = this.namespace(`p${this.namespaces.length}`)
    this.attach(name, 'eth')
    this.addAddress6(name, 'eth')
    this.in(name, 'ip', 'route', 'add', '224.0.0.0/4', 'dev', 'eth')
    return { namespace: name }
  }

  /** A machine behind routers of these kinds, the one next to it first. */
  hostBehind(...kinds: readonly NatKind[]): { readonly namespace: string } {
    const host = this.namespace(`h${this.namespaces.length}`)
    let inner = host
    for (const [depth, kind] of kinds.entries()) {
      const router = this.namespace(`r${this.namespaces.length}`)
      const net = `10.${this.places % 250}.${depth}`
      this.nets.set(router, net)
      this.link(inner, depth === 0 ? 'eth' : 'wan', router, 'lan')
      this.in(inner, 'ip', 'addr', 'add', `${net}.2/24`, 'dev', depth === 0 ? 'eth' : 'wan')
      this.in(router, 'ip', 'addr', 'add', `${net}.1/24`, 'dev', 'lan')
      this.in(inner, 'ip', 'route', 'add', 'default', 'via', `${net}.1`)
      this.in(router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
      this.rules(router, RULES[kind].replaceAll('HOST', `${net}.2`))
      inner = router
    }
    this.attach(inner, 'wan')
    return { namespace: host }
  }

  async hostBehindMapping(options: MappingRouterOptions = {}): Promise<MappingRouter> {
    const { namespace } = this.hostBehind('port-restricted')
    const router = this.namespaces.at(-1)!
    const host = `${PUBLIC_NET}.${this.places}`
    const { natPmp = true, upnp = true, claims, leaseSecondsMax, silent = false } = options
    const deaf = silent
      ? 'table ip deaf {\n chain in {\n type filter hook input priority 0\n iifname "lan" udp dport 5351 drop\n }\n}'
      : ''
    this.rules(router, `flush ruleset\n${MAPPING_RULES}\n${deaf}`)
    this.bridgeLan(router)
    const file = join(this.folder, router)
    const yes = (wanted: boolean): string => (wanted ? 'yes' : 'no')
    const lines = [
      'ext_ifname=wan',
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
      mapped: () =>
        list('chain', 'inet', 'upnp', 'mapped')
          .split('\n')
          .filter(line => line.includes('dnat')),
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
    this.attach6(namespace, 'six')
    this.rules(namespace, FIREWALL_6)
    return { namespace }
  }

  close(): void {
    for (const daemon of this.daemons) daemon.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
    for (const name of this.namespaces.splice(0).reverse()) {
      try {
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

  private attach6(name: string, device: string): void {
    this.places += 1
    const port = `port${this.places}`
    this.link(name, device, this.segment, port)
    this.in(this.segment, 'ip', 'link', 'set', port, 'master', 'bridge')
    this.addAddress6(name, device)
  }

  /** Without a wait for others that may have it. */
  private addAddress6(name: string, device: string): void {
    this.in(name, 'ip', 'addr', 'add', `${PUBLIC_NET_6}::${this.places.toString(16)}/64`, 'dev', device, 'nodad')
    this.in(name, 'ip', '-6', 'route', 'add', 'default', 'dev', device)
  }

  private rules(name: string, text: string): void {
    execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: text })
  }

  /** Onto the public segment. */
  private attach(name: string, device: string): void {
    this.places += 1
    const port = `port${this.places}`
    this.link(name, device, this.segment, port)
    this.in(this.segment, 'ip', 'link', 'set', port, 'master', 'bridge')
    this.in(name, 'ip', 'addr', 'add', `${PUBLIC_NET}.${this.places}/24`, 'dev', device)
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
