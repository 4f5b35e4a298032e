/** The WebRTC driver of a page, as a driver here: so that the contract of all wires judges it, with a real browser at one end. */
import type { Page } from 'playwright-core'
import { addressText } from '../../src/core/base/address.ts'
import type { Fault } from '../../src/core/base/fault.ts'
import type { WireFacts } from '../../src/core/input.ts'
import type { WireDriver, WireSink } from '../../src/paths/wire-driver.ts'
import type { PageUnderTest } from './page.ts'

declare const page: PageUnderTest

type Told =
  | { readonly kind: 'open'; readonly told: Omit<WireFacts, 'binding'> & { readonly binding: string } }
  | { readonly kind: 'frames'; readonly told: string }
  | { readonly kind: 'written'; readonly told: number }
  | { readonly kind: 'closed'; readonly told: Fault }

export class PageDriver {
  private readonly page: Page
  private readonly sinks = new Map<number, WireSink>()
  private next = 1

  private constructor(driven: Page) {
    this.page = driven
  }

  static async of(driven: Page): Promise<PageDriver> {
    const driver = new PageDriver(driven)
    await driven.exposeFunction('wireEvent', (wire: number, kind: Told['kind'], told: unknown) =>
      // reason: the page tells just these.
      driver.onTold(wire, { kind, told } as Told),
    )
    return driver
  }

  driver(timeoutMs?: number): WireDriver {
    return {
      schemes: ['webrtc'],
      open: (address, sink) => {
        const wire = this.next++
        this.sinks.set(wire, sink)
        // One after the other, as they were called.
        let done = this.page.evaluate(([id, text, ms]) => page.openWire(id, text, ms), [
          wire,
          addressText(address),
          timeoutMs,
        ] as const)
        return {
          send: buffers => {
            const bytes = Buffer.concat(buffers).toString('latin1')
            done = done.then(() =>
              this.page.evaluate(([id, text]) => page.sendOnWire(id, text), [wire, bytes] as const),
            )
          },
          hangUp: () => {
            done = done.then(() => this.page.evaluate(id => page.hangUpWire(id), wire))
          },
        }
      },
    }
  }

  private onTold(wire: number, { kind, told }: Told): void {
    const sink = this.sinks.get(wire)
    switch (kind) {
      case 'open':
        sink?.onOpen({ ...told, binding: bytesOf(told.binding) })
        break
      case 'frames':
        sink?.onFrames(bytesOf(told))
        break
      case 'written':
        sink?.onWritten(told)
        break
      case 'closed':
        this.sinks.delete(wire)
        sink?.onClosed(told)
    }
  }
}

function bytesOf(chars: string): Uint8Array {
  return Uint8Array.from(Buffer.from(chars, 'latin1'))
}
