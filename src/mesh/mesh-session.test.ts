import { afterEach, describe, expect, it, vi } from 'vitest'
import type { PeerId } from '../core/base/peer-id.ts'
import type { Command } from '../core/input.ts'
import type { Dispatch } from './dispatch.ts'
import { OpenSession } from './mesh-session.ts'

const PATH = { kind: 'wire', transport: 'tcp', remote: '127.0.0.1:1' } as const
const IDLE_MS = 30_000

function connected(): { session: OpenSession; commands: Command[] } {
  const commands: Command[] = []
  // reason: all that a session without streams asks of it.
  const dispatch = { command: (command: Command) => commands.push(command), forgetSession() {} } as unknown as Dispatch
  // reason: any peer.
  const session = new OpenSession(dispatch, 1, 'ab'.repeat(32) as PeerId)
  session.hold()
  session.onConnected(PATH)
  return { session, commands }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('a session that several hold', () => {
  it('is released a while after the last of them has released it', () => {
    vi.useFakeTimers()
    const { session, commands } = connected()
    session.hold()
    session.release()
    vi.advanceTimersByTime(10 * IDLE_MS)
    expect(commands).toEqual([])
    session.release()
    vi.advanceTimersByTime(IDLE_MS - 1)
    expect(commands).toEqual([])
    vi.advanceTimersByTime(1)
    expect(commands).toEqual([{ kind: 'session-release', session: 1 }])
  })

  it('stays where one comes before that while is over', () => {
    vi.useFakeTimers()
    const { session, commands } = connected()
    session.release()
    // Once too often changes nothing for whoever comes next.
    session.release()
    vi.advanceTimersByTime(IDLE_MS / 2)
    session.hold()
    vi.advanceTimersByTime(10 * IDLE_MS)
    expect(commands).toEqual([])
  })

  it('goes on for the others when one leaves its block, and ends for all when one closes it', async () => {
    const { session, commands } = connected()
    {
      await using held = session
      held.hold()
    }
    expect([session.path, commands]).toEqual([PATH, []])
    session.close()
    expect(commands).toEqual([{ kind: 'session-close', session: 1, code: 'closed' }])
    expect(await session.closed).toMatchObject({ code: 'closed' })
  })
})
