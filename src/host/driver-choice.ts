/** Which driver dials an address; one that only says no where there is none, so that a dial always ends the same way. */
import type { Address } from '../core/base/address.ts'
import type { WireDriver } from '../paths/wire-driver.ts'

export function driverOf(drivers: readonly WireDriver[], address: Address): WireDriver {
  return drivers.find(driver => driver.schemes.includes(address.scheme)) ?? refusingDriver
}

const refusingDriver: WireDriver = {
  schemes: [],
  open(address, sink) {
    queueMicrotask(() => sink.onClosed({ code: 'dial-failed', detail: `nothing here dials ${address.scheme}://` }))
    return { send() {}, hangUp() {} }
  },
}
