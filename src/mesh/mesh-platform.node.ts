/** Node as the mesh needs it: the platform, the end of a turn, and this machine's addresses. */
import { ownHosts } from '../host/own-hosts.node.ts'
import { nodePlatform } from '../host/platform.node.ts'
import { atTurnEnd } from '../paths/turn-end.node.ts'
import { ListeningSide } from './listening-side.ts'
import type { MeshPlatform } from './mesh.ts'
import { SYSTEM_SENTENCES, SYSTEM_WORDS } from './system-words.node.ts'
import { learnSystem } from './webmesh-error.ts'

learnSystem(SYSTEM_WORDS, SYSTEM_SENTENCES)

export function nodeMeshPlatform(): MeshPlatform {
  return { ...nodePlatform(), soon: atTurnEnd, ownHosts, listeningSide: mesh => new ListeningSide(mesh) }
}
