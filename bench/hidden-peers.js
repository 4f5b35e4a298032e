/**
 * Peers behind firewalls, as far as a relay can tell: they negotiate no wires and dial only where they are let, so that
 * their sessions with each other stay on circuits. All else is what `Mesh.start` gives. It reaches behind the package's
 * door for the platform alone.
 */
import { startMesh } from '../dist/mesh/mesh.js'
import { nodeMeshPlatform } from '../dist/mesh/mesh-platform.node.js'

/** What all peers of this process have put on wires that they dialled. */
let dialledBytes = 0

export function sentBytes() {
  return dialledBytes
}

/**
 * @param {import('webmesh').MeshOptions} options
 * @param {number[] | null} ports the only ones that it can dial, or null for all
 */
export function startHidden(options, ports) {
  const platform = nodeMeshPlatform()
  return startMesh(
    {
      ...platform,
      negotiators: () => [],
      dial(address, sink) {
        const isOpen = ports === null || ports.includes(address.port)
        const wire = platform.dial(isOpen ? address : { ...address, scheme: 'webrtc' }, sink)
        return {
          send(buffers, bytes) {
            dialledBytes += bytes
            wire.send(buffers, bytes)
          },
          hangUp: () => wire.hangUp(),
        }
      },
    },
    options,
  )
}
