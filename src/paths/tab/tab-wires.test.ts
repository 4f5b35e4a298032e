/** Over Node's BroadcastChannel, which has the browser's interface; browsers themselves: test/browser, test/natlab. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressText, parseAddress } from '../../core/base/address.ts'
import { FRAME_BYTES_MAX } from '../../core/limits.ts'
import { dial, openWireContract, WireEndOfTest } from '../wire-contract.ts'
import { openTabPlace, type TabPlace, tabDriver } from './tab-wires.browser.ts'

describe('wires between tabs', () => {
  let place: TabPlace
  let onAccepted: (end: WireEndOfTest) => void = () => {}

  beforeAll(() => {
    place = openTabPlace(wire => {
      const end = new WireEndOfTest()
      end.wire = wire
      onAccepted(end)
      return end
    })
  })
  afterAll(() => place.close())

  async function pair(): Promise<[WireEndOfTest, WireEndOfTest]> {
    const coming = new Promise<WireEndOfTest>(resolve => {
      onAccepted = resolve
    })
    const dialler = dial(tabDriver(), place.address)
    const acceptor = await coming
    await Promise.all([dialler.opened, acceptor.opened])
    return [dialler, acceptor]
  }

  openWireContract(pair)

  it('gives up a dial to a tab that is gone', async () => {
    const gone = openTabPlace(() => new WireEndOfTest())
    gone.close()
    const end = dial(tabDriver(50), gone.address)
    expect(await end.closed).toEqual({ code: 'dial-timeout', limit: 50 })
    expect(end.closes).toBe(1)
  })

  it('can be hung up while it is dialled', async () => {
    const end = dial(tabDriver(), place.address)
    end.hangUp()
    expect((await end.closed).code).toBe('closed')
    expect(end.calledInside).toBe(false)
  })

  it('ends, with both sides, over what is no frame', async () => {
    const [dialler, acceptor] = await pair()
    dialler.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0))
    expect(await acceptor.closed).toMatchObject({ code: 'frame-too-large', limit: FRAME_BYTES_MAX })
    expect((await dialler.closed).code).toBe('closed')
  })

  it('passes over what others of the origin write to its channels', async () => {
    const coming = new Promise<WireEndOfTest>(resolve => {
      onAccepted = resolve
    })
    const bell = new BroadcastChannel(`webmesh/1/tab/${place.address.extra}`)
    for (const noise of [null, 7, { kind: 'open' }]) bell.postMessage(noise)
    bell.postMessage('by hand')
    const acceptor = await coming
    const channel = new BroadcastChannel('webmesh/1/wire/by hand')
    for (const noise of [
      null,
      7,
      'x',
      {},
      { kind: 'bytes' },
      { kind: 'bytes', bytes: [1] },
      { kind: 'taken' },
      { kind: 'taken', bytes: 9e9 },
    ])
      channel.postMessage(noise)
    channel.postMessage({ kind: 'close' })
    expect((await acceptor.closed).code).toBe('closed')
    expect([acceptor.frames.length, acceptor.written]).toEqual([0, 0])
    channel.close()
    bell.close()
  })

  it('has an address that nobody can write into a ref or type', () => {
    expect(parseAddress(addressText(place.address)).ok).toBe(false)
  })
})
