/** What only programs meet: what operating systems say in a code, in plain words, and sentences for the faults of ports and folders. */
import type { SystemCode } from './webmesh-error.ts'

/** Codes of operating systems. */
export const SYSTEM_WORDS = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the other side cut the connection',
  EPIPE: 'the other side cut the connection',
  ETIMEDOUT: 'no answer came',
  EHOSTUNREACH: 'no way leads to that host',
  ENETUNREACH: 'no way leads to that network',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'host names cannot be looked up now',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'that is not permitted',
  EPERM: 'that is not permitted',
  EROFS: 'it can only be read',
  ENOSPC: 'the disk is full',
  EEXIST: 'it is no folder',
  ENOTDIR: 'it is no folder, or lies in something that is none',
  ENOENT: 'it does not exist and cannot be made',
  ENAMETOOLONG: 'its name is too long',
  EMFILE: 'too many files are open',
} as const

export const SYSTEM_SENTENCES: Record<SystemCode, string> = {
  'port-in-use':
    'Another program listens there already%: stop it, choose another port, or give port 0 for any free one.',
  'listen-failed': 'Listening failed%: check that the address belongs to this machine and that the port may be used.',
  'store-locked': 'The store is in use by another process%: stop that one, or give each peer a folder of its own.',
}
