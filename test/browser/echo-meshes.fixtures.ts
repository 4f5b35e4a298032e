/** Node peers of a test that answer each stream on `echo` with what came, and end with the test. */
import { Mesh, type MeshOptions } from '../../src/index.node.ts'

export class EchoMeshes {
  private readonly meshes: Mesh[] = []

  readonly start = async (options: MeshOptions): Promise<Mesh> => {
    const mesh = await Mesh.start(options)
    this.meshes.push(mesh)
    mesh.handle('echo', async stream => {
      for await (const chunk of stream) await stream.write(chunk)
    })
    return mesh
  }

  async end(): Promise<void> {
    await Promise.all(this.meshes.splice(0).map(mesh => mesh.close()))
  }
}
