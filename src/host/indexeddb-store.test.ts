import 'fake-indexeddb/auto'
import { expect, it } from 'vitest'
import { openIndexedDbStore } from './indexeddb-store.browser.ts'
import { storeContract } from './store-contract.ts'

storeContract('the store in IndexedDB', {
  lasting: true,
  async open(place) {
    const opened = await openIndexedDbStore(place)
    if (!opened.ok) throw new Error(opened.fault.detail)
    return opened.value.store
  },
})

it('a browser without a usable IndexedDB gives a fault', async () => {
  const { open } = indexedDB
  indexedDB.open = () => {
    throw new Error('denied')
  }
  const opened = await openIndexedDbStore('denied')
  indexedDB.open = open
  expect(opened).toMatchObject({ ok: false, fault: { code: 'store-failed', detail: 'denied' } })
})
