/**
 * The settings of a scenario as options of the command line: one table for what reads them, what explains them and what
 * writes the command that replays a run.
 */
import type { PeerMix, ScenarioSetting } from './scenario.ts'

type SingleKey = Exclude<keyof ScenarioSetting, 'mix' | 'settled'>

interface NumberOption {
  readonly option: string
  readonly least: number
  readonly most: number
  readonly whole: boolean
  readonly meaning: string
}

export interface SettingOption extends NumberOption {
  readonly key: SingleKey
}

export const SETTING_OPTIONS: readonly SettingOption[] = [
  { option: 'peers', key: 'peers', least: 2, most: 4_000_000, whole: true, meaning: 'how many peers' },
  { option: 'seed', key: 'seed', least: 0, most: 4_294_967_295, whole: true, meaning: 'of all chance in the run' },
  {
    option: 'share',
    key: 'share',
    least: 0,
    most: 1,
    whole: false,
    meaning: 'of all peers: those that something happens to',
  },
  {
    option: 'minutes',
    key: 'minutes',
    least: 0,
    most: 100_000,
    whole: false,
    meaning: 'virtual time of the middle part: split, churn, sleep',
  },
  { option: 'ways', key: 'ways', least: 2, most: 16, whole: true, meaning: 'into how many parts a split cuts' },
  {
    option: 'median',
    key: 'medianMinutes',
    least: 0.1,
    most: 100_000,
    whole: false,
    meaning: 'churn: how many minutes half of the peers stay',
  },
  {
    option: 'churned',
    key: 'churnedMinutes',
    least: 0,
    most: 100_000,
    whole: false,
    meaning: 'mass failure: how many minutes peers come and go before it',
  },
  { option: 'loss', key: 'lossShare', least: 0, most: 0.5, whole: false, meaning: 'of packets: those that are lost' },
]

/** For `ScenarioSetting.settled`; it takes no value. */
export const SETTLED_OPTION = 'settled'

/** Each group's shares have the sum 1. */
export const MIX_OPTIONS = {
  nat: ['public', 'cone', 'symmetric', 'blocked'],
  device: ['server', 'desktop', 'tab'],
} as const satisfies { readonly [Group in keyof PeerMix]: readonly (keyof PeerMix[Group])[] }

const SUM_TOLERANCE = 1e-6

/**
 * A group of the mix with some shares given: what they leave over is divided among the others as before. Null where that
 * cannot give the sum 1.
 */
export function mixedShares<Name extends string>(
  before: Readonly<Record<Name, number>>,
  given: Readonly<Partial<Record<Name, number>>>,
): Readonly<Record<Name, number>> | null {
  // reason: the keys of a record are its names.
  const names = Object.keys(before) as Name[]
  const open = names.filter(name => given[name] === undefined)
  const left = 1 - names.reduce((sum, name) => sum + (given[name] ?? 0), 0)
  const openBefore = open.reduce((sum, name) => sum + before[name], 0)
  const nothingLeft = left >= -SUM_TOLERANCE && left <= SUM_TOLERANCE
  if (left < -SUM_TOLERANCE || (openBefore === 0 && !nothingLeft)) return null
  const shares: Record<Name, number> = { ...before }
  for (const name of names) {
    const share = given[name]
    if (share !== undefined) shares[name] = share
    else shares[name] = nothingLeft ? 0 : (before[name] / openBefore) * left
  }
  return shares
}

/** The command that does the same again: peers and seed, and what differs from the scenario's defaults. */
export function replayCommand(scenario: string, setting: ScenarioSetting, defaults: ScenarioSetting): string {
  const words = [`webmesh sim --scenario ${scenario}`]
  for (const { option, key } of SETTING_OPTIONS) {
    const needed = key === 'peers' || key === 'seed' || setting[key] !== defaults[key]
    if (needed) words.push(`--${option} ${setting[key]}`)
  }
  if (setting.settled) words.push(`--${SETTLED_OPTION}`)
  words.push(...shareWords(setting.mix.nat, defaults.mix.nat), ...shareWords(setting.mix.device, defaults.mix.device))
  return words.join(' ')
}

function shareWords(shares: Readonly<Record<string, number>>, defaults: Readonly<Record<string, number>>): string[] {
  const names = Object.keys(shares)
  if (names.every(name => shares[name] === defaults[name])) return []
  return names.map(name => `--${name} ${shares[name]}`)
}
