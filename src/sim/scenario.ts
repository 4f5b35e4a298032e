/**
 * What a scenario is, and what comes out of one. A scenario builds a world of production peers, lets something happen to
 * it and judges what can be seen from outside. Everything in an outcome follows from the setting, but what instruments
 * measured.
 */
import type { Instant } from '../core/base/instant.ts'

/** What is settable from the command line, with what holds where nothing is said in `SETTING_DEFAULTS`. */
export interface ScenarioSetting {
  readonly peers: number
  readonly seed: number
  /** The share of peers that something happens to: that vanish, freeze, join a service. */
  readonly share: number
  /** How long the middle part lasts: a split, churn, sleep. Virtual minutes. */
  readonly minutes: number
  /** Into how many parts a split cuts. */
  readonly ways: number
  /** Churn: the median of how long a peer stays. Virtual minutes. */
  readonly medianMinutes: number
  /** Mass failure: how long peers come and go before it. Virtual minutes. */
  readonly churnedMinutes: number
  /** Of packets: over a wire a lost one comes later, as TCP sends it again. */
  readonly lossShare: number
  readonly mix: PeerMix
  /** All peers are there from the beginning, as hours after they joined; else they join one by one. */
  readonly settled: boolean
}

/** Shares of all peers, each group's sum 1. */
export interface PeerMix {
  /** Who accepts dials, and who can be punched through to. */
  readonly nat: { readonly public: number; readonly cone: number; readonly symmetric: number; readonly blocked: number }
  readonly device: { readonly server: number; readonly desktop: number; readonly tab: number }
}

/** One claim that was checked, as text for people and machines. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly target: string
  readonly measured: string
}

/** The state of the whole at one moment. Shares are of live peers; null where it was not measured. */
export interface Sample {
  readonly atMs: Instant
  readonly live: number
  /** In the largest component of links. */
  readonly component: number
  /** Linked with their true ring neighbours, both ways. */
  readonly ring: number
  readonly routed: number | null
  readonly hops: number | null
  /** For each live peer and second since the sample before. */
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
}

/** The ring at the end: positions from 0 to 1 and links as pairs of indexes. Large rings are thinned out. */
export interface RingPicture {
  readonly peers: readonly { readonly position: number; readonly device: string; readonly public: boolean }[]
  readonly links: readonly (readonly [from: number, to: number, role: string])[]
}

export interface ScenarioOutcome {
  readonly scenario: string
  readonly setting: ScenarioSetting
  readonly ok: boolean
  /** Hash over all that passed between peers, and when: 16 hexadecimal digits. */
  readonly trace: string
  readonly virtualMs: number
  readonly checks: readonly Check[]
  readonly samples: readonly Sample[]
  readonly picture: RingPicture
}

export interface Progress {
  readonly phase: string
  /** Of the whole scenario, from 0 to 1. */
  readonly done: number
  readonly live: number
  /** Where one was taken just now. */
  readonly sample?: Sample | undefined
}

/** What whoever runs a scenario can measure of the process, and a simulation cannot. */
export interface Instruments {
  /** Of this simulation and all beside it, after what is no longer needed has been collected. */
  liveBytes(): number
}

export interface Scenario {
  readonly name: string
  /** One line, for the list. */
  readonly summary: string
  /** Where it differs from `SETTING_DEFAULTS`. */
  readonly defaults: Partial<ScenarioSetting>
  run(
    setting: ScenarioSetting,
    onProgress: (progress: Progress) => void,
    instruments?: Instruments | undefined,
  ): ScenarioOutcome
}

/** NAT shares as measured in the field; devices: one server in twenty. */
export const SETTING_DEFAULTS: ScenarioSetting = {
  peers: 200,
  seed: 1,
  share: 0.5,
  minutes: 10,
  ways: 2,
  medianMinutes: 10,
  churnedMinutes: 0,
  lossShare: 0.01,
  mix: {
    nat: { public: 0.1, cone: 0.6, symmetric: 0.2, blocked: 0.1 },
    device: { server: 0.05, desktop: 0.45, tab: 0.5 },
  },
  settled: false,
}
