/** A browser as the mesh needs it: the platform and the end of a turn. Nothing can listen, so there are no addresses. */
import { browserPlatform } from '../host/platform.browser.ts'
import type { MeshPlatform } from './mesh.ts'

export function browserMeshPlatform(): MeshPlatform {
  return { ...browserPlatform(), soon: afterTurn(), ownHosts: () => [], listeningSide: null }
}

/** A message to oneself is the shortest way out of the turn: a timeout of 0 waits up to 4 ms, a second in a hidden tab. */
function afterTurn(): (task: () => void) => void {
  const { port1, port2 } = new MessageChannel()
  const tasks: (() => void)[] = []
  port1.onmessage = () => tasks.shift()?.()
  return task => {
    tasks.push(task)
    port2.postMessage(null)
  }
}
