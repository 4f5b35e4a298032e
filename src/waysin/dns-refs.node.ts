/** Refs from the TXT records of a DNS name: one ref a record, its strings put together (a string holds 255 bytes). */
import { Resolver } from 'node:dns/promises'
import { REFS_FOUND_MAX, SOURCE_TIMEOUT_MS } from './way-in-source.ts'

export async function refsOfDns(name: string, server: string | null, signal: AbortSignal): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: SOURCE_TIMEOUT_MS / 2, tries: 2 })
  if (server !== null) resolver.setServers([server])
  signal.addEventListener('abort', () => resolver.cancel(), { once: true })
  const records = await resolver.resolveTxt(name)
  return records
    .map(strings => strings.join(''))
    .filter(text => text.startsWith('webmesh:'))
    .slice(0, REFS_FOUND_MAX)
}
