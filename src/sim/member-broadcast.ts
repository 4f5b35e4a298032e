/**
 * Broadcasts to a service of many members (member-world.ts): how many copies of a payload arrive, over how many members,
 * and who is reached while members come and go. The same measure as the scenario `broadcast` takes of the whole stack.
 */
import { Rng } from '../core/base/rng.ts'
import { type Member, MemberWorld } from './member-world.ts'
import { NetworkModel } from './network-model.ts'
import { SETTING_DEFAULTS } from './scenario.ts'

/** The first ones shape the tree. */
const SHAPING = 5
const GAP_MS = 2_000
const ARRIVAL_MS = 20_000
const SETTLE_MS = 120_000
/** Who has only just joined is not yet owed anything. */
const OWED_AFTER_MS = 60_000
const PAYLOAD_BYTES = 1_000

export interface MemberBroadcastSetting {
  readonly members: number
  readonly seed: number
  /** At rest. */
  readonly broadcasts: number
  readonly churnMinutes: number
  /** Of the members, in a minute. */
  readonly churnShare: number
  readonly lossShare?: number
}

export interface MemberBroadcastFigures {
  readonly reached: number
  readonly owed: number
  readonly copies: number
  /** By the number of hops: how many members were reached over so many. */
  readonly hops: readonly number[]
  readonly withinMs: readonly number[]
  readonly reachedUnderChurn: number
  readonly owedUnderChurn: number
  readonly copiesUnderChurn: number
  /** Of one member to all others, by device class. */
  readonly sessions: Readonly<Record<string, { mean: number; most: number }>>
  readonly arrived: ReadonlyMap<number, number>
  readonly bytesPerMemberAndSecond: number
}

interface Sent {
  readonly at: number
  readonly from: Member
  readonly owed: readonly Member[]
  readonly hops: Map<number, number>
  copies: number
}

export function measureMemberBroadcast(
  setting: MemberBroadcastSetting,
  onProgress: (phase: string, world: MemberWorld) => void = () => {},
): MemberBroadcastFigures {
  const rng = new Rng(setting.seed).fork('member broadcast')
  const lossShare = setting.lossShare ?? SETTING_DEFAULTS.lossShare
  const model = new NetworkModel({ seed: setting.seed, mix: SETTING_DEFAULTS.mix, lossShare })
  const sent: Sent[] = []
  const times: number[] = []
  const world = new MemberWorld({
    seed: setting.seed,
    model,
    onPayload: (to, payload, fromIndex) => {
      const message = sent[(payload[0]! << 8) | payload[1]!]
      if (message === undefined) return
      message.copies += 1
      const before = message.hops.get(fromIndex)
      if (before === undefined || message.hops.has(to.index)) return
      message.hops.set(to.index, before + 1)
      times.push(world.now - message.at)
    },
  })
  const send = (among: readonly Member[]): void => {
    const from = rng.pick(among)
    if (from === undefined) return
    const payload = new Uint8Array(PAYLOAD_BYTES)
    payload[0] = sent.length >> 8
    payload[1] = sent.length
    sent.push({ at: world.now, from, owed: among, hops: new Map([[from.index, 0]]), copies: 0 })
    world.broadcast(from, payload)
    world.run(GAP_MS)
  }
  const joinMs = Math.min(500, 60_000 / setting.members)
  while (world.members.length < setting.members) {
    world.join()
    world.run(joinMs)
  }
  onProgress('joined', world)
  world.run(SETTLE_MS)
  onProgress('settled', world)
  for (let i = 0; i < SHAPING; i += 1) send(world.members.slice())
  world.run(ARRIVAL_MS)
  onProgress('shaped', world)
  times.length = 0
  const bytesBefore = world.sentBytes
  const measuredFrom = world.now
  for (let i = 0; i < setting.broadcasts; i += 1) send(world.members.slice())
  world.run(ARRIVAL_MS)
  onProgress('measured at rest', world)
  const bytesPerMemberAndSecond =
    (world.sentBytes - bytesBefore) / setting.members / ((world.now - measuredFrom) / 1_000)
  const atRest = sent.slice(SHAPING)
  const hops: number[] = []
  for (const message of atRest)
    for (const count of message.hops.values()) if (count > 0) hops[count] = (hops[count] ?? 0) + 1
  const sessions = sessionsByDevice(world)
  const rest = reachedOf(atRest)
  const restTimes = times.slice().sort((a, b) => a - b)

  const underChurn = sent.length
  const end = world.now + setting.churnMinutes * 60_000
  while (world.now < end) {
    const leaving = (setting.churnShare * setting.members * GAP_MS) / 60_000
    const live = world.members.filter(member => member.alive)
    for (const member of rng.sample(live, Math.floor(leaving) + (rng.unit() < leaving % 1 ? 1 : 0))) {
      world.kill(member, rng.below(2) === 0)
      world.join()
    }
    send(world.members.filter(member => member.alive && world.now - member.joinedAt > OWED_AFTER_MS))
  }
  if (setting.churnMinutes > 0) world.run(ARRIVAL_MS)
  onProgress('measured under churn', world)
  const churn = reachedOf(sent.slice(underChurn))
  return {
    ...rest,
    copies: copiesOf(atRest),
    hops: Array.from(hops, count => count ?? 0),
    withinMs: [0.5, 0.99, 1].map(share => restTimes[Math.ceil(share * restTimes.length) - 1] ?? 0),
    reachedUnderChurn: churn.reached,
    owedUnderChurn: churn.owed,
    copiesUnderChurn: copiesOf(sent.slice(underChurn)),
    sessions,
    arrived: world.arrived,
    bytesPerMemberAndSecond,
  }
}

/** Of those who were members when it was sent and are still there. */
function reachedOf(sent: readonly Sent[]): { reached: number; owed: number } {
  let reached = 0
  let owed = 0
  for (const message of sent) {
    for (const member of message.owed) {
      if (member === message.from || !member.alive || !message.from.alive) continue
      owed += 1
      if (message.hops.has(member.index)) reached += 1
    }
  }
  return { reached, owed }
}

function copiesOf(sent: readonly Sent[]): number {
  const copies = sent.reduce((sum, message) => sum + message.copies, 0)
  return (
    copies /
    Math.max(
      1,
      sent.reduce((sum, message) => sum + message.owed.length - 1, 0),
    )
  )
}

function sessionsByDevice(world: MemberWorld): Record<string, { mean: number; most: number }> {
  const counts: Record<string, number[]> = {}
  for (const member of world.members) {
    if (!member.alive) continue
    counts[member.profile.device] ??= []
    counts[member.profile.device]?.push(world.neighboursOf(member))
  }
  return Object.fromEntries(
    Object.entries(counts).map(([device, all]) => [
      device,
      { mean: all.reduce((sum, count) => sum + count, 0) / all.length, most: Math.max(...all) },
    ]),
  )
}
