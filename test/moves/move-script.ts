/** What runs in the page of the moves. */
import { Mesh } from '../../src/index.browser.ts'
import { codeOf, send } from './transfer.ts'

export interface MovePage {
  start(options: object): Promise<string>
  transfer(order: { readonly to: string; readonly bytes: number; readonly over: string }): Promise<void>
}

declare const say: (event: object) => void

let mesh: Mesh | null = null

const page: MovePage = {
  async start(options) {
    mesh = await Mesh.start(options)
    return mesh.id
  },
  async transfer({ to, bytes, over }) {
    if (mesh === null) throw new Error('not started')
    const session = await mesh.connect(to)
    const startedAt = performance.now()
    const nameNow = (): string => (session.path.kind === 'wire' ? session.path.transport : session.path.kind)
    session.addEventListener('path', () =>
      say({ event: 'path', path: nameNow(), atMs: Math.round(performance.now() - startedAt) }),
    )
    session.closed.then(error => say({ event: 'closed', code: error.code }))
    while (nameNow() !== over) await new Promise(resolve => setTimeout(resolve, 20))
    say({ event: 'begins' })
    const stream = await session.open('take')
    const sent = await send(stream, bytes).then(
      hash => ({ hash, ended: 'end' }),
      (error: unknown) => ({ hash: '', ended: codeOf(error) }),
    )
    say({ event: 'sent', ...sent, path: nameNow() })
  },
}

Object.assign(globalThis, { page })
