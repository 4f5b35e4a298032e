/** The setting of a simulation, read from the command line over a scenario's defaults. */
import { type PeerMix, type Scenario, type ScenarioSetting, SETTING_DEFAULTS } from '../sim/scenario.ts'
import { MIX_OPTIONS, mixedShares, SETTING_OPTIONS, SETTLED_OPTION } from '../sim/setting-options.ts'
import { type CliCommand, type Flags, UsageError } from './command.ts'

/** `--kill` is the word for it where peers vanish. */
const SHARE_ALIAS = 'kill'

export const SETTING_FLAGS: CliCommand['options'] = {
  [SETTLED_OPTION]: { type: 'boolean' },
  ...Object.fromEntries(
    [...SETTING_OPTIONS.map(({ option }) => option), SHARE_ALIAS, ...MIX_OPTIONS.nat, ...MIX_OPTIONS.device].map(
      name => [name, { type: 'string' }],
    ),
  ),
}

export function defaultsOf(scenario: Scenario): ScenarioSetting {
  return { ...SETTING_DEFAULTS, ...scenario.defaults }
}

/** UsageError where a number is out of its range, or shares do not add up to 1. */
export function settingFrom(flags: Flags, scenario: Scenario): ScenarioSetting {
  const defaults = defaultsOf(scenario)
  const numbers: Partial<Record<keyof ScenarioSetting, number>> = {}
  for (const { option, key, least, most, whole } of SETTING_OPTIONS) {
    const given = flags.number(option, least, whole, most)
    if (given !== undefined) numbers[key] = given
  }
  const kill = flags.number(SHARE_ALIAS, 0, false, 1)
  if (kill !== undefined && numbers.share !== undefined) throw new UsageError('--kill and --share are one setting')
  if (kill !== undefined) numbers.share = kill
  const mix: PeerMix = {
    nat: shares(flags, MIX_OPTIONS.nat, defaults.mix.nat),
    device: shares(flags, MIX_OPTIONS.device, defaults.mix.device),
  }
  return { ...defaults, ...numbers, mix, settled: flags.has(SETTLED_OPTION) }
}

function shares<Name extends string>(
  flags: Flags,
  names: readonly Name[],
  before: Readonly<Record<Name, number>>,
): Readonly<Record<Name, number>> {
  const given: Partial<Record<Name, number>> = {}
  for (const name of names) {
    const share = flags.number(name, 0, false, 1)
    if (share !== undefined) given[name] = share
  }
  if (Object.keys(given).length === 0) return before
  const mixed = mixedShares(before, given)
  if (mixed !== null) return mixed
  throw new UsageError(`the shares of ${names.map(name => `--${name}`).join(', ')} must add up to 1`)
}
