/**
 * The name of a service: `name/major`, as in `chat.example/1` (spec 6.1). The major version is part of the name, since
 * peers of different majors do not understand each other. There is one spelling of each name: nothing is folded.
 */
import { fail, ok, type Result } from '../base/fault.ts'
import { SERVICE_NAME_BYTES_MAX } from '../limits.ts'

export type ServiceName = string & { readonly __serviceName: true }

export const MAJOR_MAX = 65_535
/** The longest name with its slash and major version. */
export const SERVICE_TEXT_BYTES_MAX = SERVICE_NAME_BYTES_MAX + 6

const FORM = `a service is named like chat.example/1: up to ${SERVICE_NAME_BYTES_MAX} of a-z 0-9 . - _ (a letter or digit first), a slash, a major version from 0 to ${MAJOR_MAX}`

export function parseServiceName(text: string): Result<ServiceName> {
  const match = /^([a-z0-9][a-z0-9._-]*)\/(0|[1-9][0-9]{0,4})$/.exec(text)
  const bad = fail({ code: 'invalid-service-name', detail: `${FORM}; got "${text.slice(0, 80)}"` })
  if (match === null) return bad
  if (match[1]!.length > SERVICE_NAME_BYTES_MAX || Number(match[2]) > MAJOR_MAX) return bad
  // reason: the pattern and the bounds are what the brand promises.
  return ok(text as ServiceName)
}
