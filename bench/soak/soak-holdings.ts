/** The peers of a process or page of the soak, while they run and while anything still holds them. */
import type { Mesh } from 'webmesh'
import type { HeldPeers } from './soak-words.ts'

export class Holdings {
  private readonly meshes = new Set<Mesh>()
  private readonly closed: WeakRef<Mesh>[] = []

  add(mesh: Mesh): Mesh {
    this.meshes.add(mesh)
    return mesh
  }

  onClosed(mesh: Mesh): void {
    this.meshes.delete(mesh)
    this.closed.push(new WeakRef(mesh))
  }

  /** After a collection. */
  count(): HeldPeers {
    const statuses = [...this.meshes].map(mesh => mesh.status())
    return {
      peers: this.meshes.size,
      sessions: statuses.reduce((sum, { sessions }) => sum + sessions, 0),
      links: statuses.reduce((sum, { links }) => sum + links.length, 0),
      closed: this.closed.length,
      closedStillHeld: this.closed.filter(mesh => mesh.deref() !== undefined).length,
    }
  }
}
