/** `webmesh id`: the identity in a store, made where there is none. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { storedIdentity } from '../mesh/mesh.ts'
import { nodeMeshPlatform } from '../mesh/mesh-platform.node.ts'
import { type CliCall, type CliCommand, JSON_OPTION, STORE_OPTION, UsageError } from './command.ts'

export const id: CliCommand = {
  name: 'id',
  summary: 'print the identity of a store, creating it if there is none',
  usage: '[--store DIR]',
  operands: [],
  options: { ...JSON_OPTION, ...STORE_OPTION },
  help: `Prints the identity kept in a store: the peer id, 64 hexadecimal digits. Where the
store has none, or does not exist, it is made. The peer must not be running: one process
at a time has a store.

  --store DIR   the store; $XDG_DATA_HOME/webmesh unless given (on most systems
                ~/.local/share/webmesh). Use it with: webmesh up --store DIR
  --json        {"event":"identity","peer":…,"store":…}`,

  async run({ flags, report }: CliCall): Promise<void> {
    if (flags.text('store') === '') throw new UsageError('--store takes a folder')
    const place = resolve(flags.text('store') ?? defaultStore(process.env))
    const peer = await storedIdentity(nodeMeshPlatform(), place)
    report.event('identity', { peer, store: place }, peer)
  },
}

function defaultStore(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'webmesh')
}
