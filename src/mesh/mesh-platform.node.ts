/** Node as the mesh needs it: the platform, the end of a turn, and this machine's addresses. */
import { networkInterfaces } from 'node:os'
import { nodePlatform } from '../host/platform.node.ts'
import { atTurnEnd } from '../paths/turn-end.node.ts'
import type { MeshPlatform } from './mesh.ts'

export function nodeMeshPlatform(): MeshPlatform {
  return { ...nodePlatform(), soon: atTurnEnd, ownHosts }
}

/** IPv4 first: in most networks it is the one that others can dial. */
function ownHosts(): readonly string[] {
  const hosts = Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80') && !address.startsWith('169.254.'))
    .map(({ address }) => address)
  return [...hosts.filter(host => !host.includes(':')), ...hosts.filter(host => host.includes(':'))]
}
