/**
 * A public segment and hosts behind NATs of all kinds, made of network namespaces, veth pairs and nftables. Root only. All of
 * it bears the name of this process, and `close` takes it away again, whatever happened in between.
 */
import { execFileSync } from 'node:child_process'

const PUBLIC_NET = '198.51.100'
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

export interface PublicHost {
  readonly namespace: string
  readonly address: string
  readonly address6: string
}

export class NatLab {
  private readonly prefix = `wm${process.pid}`
  private readonly namespaces: string[] = []
  private readonly segment: string
  private places = 0

  constructor() {
    this.segment = this.namespace('segment')
    this.in(this.segment, 'ip', 'link', 'add', 'name', 'bridge', 'type', 'bridge')
    this.in(this.segment, 'ip', 'link', 'set', 'bridge', 'up')
  }

  /** A machine on the public segment, with both families. */
  publicHost(): PublicHost {
    const name = this.namespace(`p${this.namespaces.length}`)
    const address = this.attach(name, 'eth')
    const address6 = this.addAddress6(name, 'eth')
    this.in(name, 'ip', 'route', 'add', '224.0.0.0/4', 'dev', 'eth')
    return { namespace: name, address, address6 }
  }

  /** Another way of a public host's onto the segment, by a device and an address of its own. */
  attachAlso({ namespace }: PublicHost, device: string): string {
    return this.attach(namespace, device)
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
  private attach(name: string, device: string): string {
    this.places += 1
    const port = `port${this.places}`
    this.link(name, device, this.segment, port)
    this.in(this.segment, 'ip', 'link', 'set', port, 'master', 'bridge')
    const address = `${PUBLIC_NET}.${this.places}`
    this.in(name, 'ip', 'addr', 'add', `${address}/24`, 'dev', device)
    return address
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
