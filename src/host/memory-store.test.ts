import { MemoryStore } from './memory-store.ts'
import { storeContract } from './store-contract.ts'

storeContract('the store in memory', { lasting: false, open: async () => new MemoryStore() })
