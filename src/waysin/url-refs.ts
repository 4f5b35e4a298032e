/** Refs from a URL: `{ "refs": ["webmesh:…", …] }`, as every Webmesh peer serves it at `/refs.json` of its port. */
import { REFS_FOUND_MAX } from './way-in-source.ts'

const BODY_BYTES_MAX = 262_144

export async function refsOfUrl(url: string, signal: AbortSignal): Promise<readonly string[]> {
  const response = await fetch(url, { signal, redirect: 'follow', headers: { accept: 'application/json' } })
  if (!response.ok) throw new Error(`it answers ${response.status}`)
  const text = await readBounded(response)
  let listed: unknown
  try {
    listed = JSON.parse(text)
  } catch {
    throw new Error('what it serves is no JSON')
  }
  // reason: whatever it is, only a list of texts is taken from it.
  const refs = (listed as { readonly refs?: unknown } | null)?.refs
  if (!Array.isArray(refs)) throw new Error('its JSON has no list "refs"')
  return refs.filter(ref => typeof ref === 'string').slice(0, REFS_FOUND_MAX)
}

/** A server may send without end. */
async function readBounded({ body }: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  const reader = body?.getReader()
  for (;;) {
    const part = await reader?.read()
    if (part?.value === undefined) return text + decoder.decode()
    bytes += part.value.length
    if (bytes > BODY_BYTES_MAX) {
      await reader?.cancel()
      throw new Error(`it serves more than ${BODY_BYTES_MAX} bytes`)
    }
    text += decoder.decode(part.value, { stream: true })
  }
}
