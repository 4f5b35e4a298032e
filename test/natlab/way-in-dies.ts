/**
 * Two tabs behind different NATs come in through the only Node peer there is and talk; it is killed. They go on talking, and a
 * third tab, in the browser of one of them and told of nobody, finds the other and is found by it. Nothing is left that could
 * be dialled, nor any STUN: it comes in by a wire from tab to tab.
 */
import type { Met, Spoken } from './lab-calls.ts'
import type { Asked } from './lab-run.ts'

const BYTES = 1_048_576
/** Until the two have a wire of their own; and for what looks for a way after the death. */
const PATIENCE_MS = 15_000

export interface Doomed {
  readonly wayIn: Asked
  kill(): void
  readonly first: Asked
  readonly second: Asked
}

/** How many steps are not as they should be. */
export async function liveWithoutWayIn({ wayIn, kill, first, second }: Doomed): Promise<number> {
  let wrong = 0
  const show = (what: string, { error, ok, ...rest }: { readonly error?: string; readonly ok: boolean }): void => {
    if (error !== undefined || !ok) wrong += 1
    console.log(`${error !== undefined || !ok ? '!' : ' '} ${what}: ${error ?? JSON.stringify(rest)}`)
  }
  const met = (answer: Met & { readonly error?: string }): Met & { readonly error?: string; readonly ok: boolean } => ({
    ...answer,
    ok: answer.same === true,
  })
  const held = await first.ask<{ readonly path: string }>({ kind: 'hold', peer: second.id, patienceMs: PATIENCE_MS })
  show(`the tabs have met through ${wayIn.id.slice(0, 8)}`, { ...held, ok: held.path === 'webrtc' })
  kill()
  const spoken = await first.ask<Spoken>({ kind: 'speak', peer: second.id })
  show('it is killed; the stream that they had', { ...spoken, ok: spoken.path === 'webrtc' })
  show('a new stream back', met(await second.ask<Met>({ kind: 'meet', peer: first.id, bytes: BYTES, patienceMs: 0 })))
  for (const [host, other, name] of [
    [first, second, 'the first'],
    [second, first, 'the second'],
  ] as const) {
    const tab = await host.ask<{ readonly id: string }>({ kind: 'open-tab', options: {} })
    if (tab.error !== undefined) throw new Error(tab.error)
    const came = await host.ask<{ readonly links: readonly string[] }>({
      kind: 'linked',
      tab: 1,
      patienceMs: PATIENCE_MS,
    })
    show(`a third tab beside ${name} is in`, { ...came, ok: came.links?.includes(host.id) === true })
    const found = { kind: 'meet', bytes: BYTES, patienceMs: 0 } as const
    show('it finds the other one', met(await host.ask<Met>({ ...found, tab: 1, peer: other.id })))
    show('it is found by the other one', met(await other.ask<Met>({ ...found, peer: tab.id })))
  }
  const last = await first.ask<Spoken>({ kind: 'speak', peer: second.id })
  show('and the first stream still', { ...last, ok: last.path === 'webrtc' })
  return wrong
}
