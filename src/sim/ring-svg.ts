/** The ring at the end as inline SVG: peers on a circle, links as curves within it, bent the more the farther they go. */
import { coordinate, escaped } from './markup.ts'
import type { RingPicture } from './scenario.ts'

const SIZE = 640
const RADIUS = 300
const DOT_RADIUS: Readonly<Record<string, number>> = { server: 6.5, desktop: 4, tab: 2.6 }
const OTHER_RADIUS = 3

/** In the order of the legend; what is not among them comes behind, in the colour of the last. */
const ROLES = ['near', 'far', 'random', 'public', 'way-in', 'guest'] as const

export interface RingRole {
  readonly name: string
  readonly count: number
  /** Which of the page's colours, from 0. */
  readonly colour: number
}

export function ringRoles({ links }: RingPicture): readonly RingRole[] {
  const counts = new Map<string, number>(ROLES.map(role => [role, 0]))
  for (const [, , role] of links) counts.set(role, (counts.get(role) ?? 0) + 1)
  const roles = [...counts].map(([name, count], index) => ({ name, count, colour: Math.min(index, ROLES.length) }))
  return roles.filter(role => role.count > 0)
}

export function ringSvg(picture: RingPicture): string {
  const places = picture.peers.map(peer => {
    const [x, y] = onCircle(peer.position)
    return { x: SIZE / 2 + RADIUS * x, y: SIZE / 2 + RADIUS * y }
  })
  const groups = ringRoles(picture).map((role, index) => {
    const curves: string[] = []
    for (const [from, to, name] of picture.links) {
      const [start, end] = [places[from], places[to]]
      if (name === role.name && start !== undefined && end !== undefined) curves.push(curveBetween(start, end))
    }
    const opacity = opacityOf(role.count)
    return `<path class="link c${role.colour} r${index}" opacity="${opacity}" d="${curves.join('')}"/>`
  })
  const dots = picture.peers.map((peer, index) => {
    const { x, y } = places[index]!
    const radius = dotRadius(peer.device)
    const what = `${peer.device}${peer.public ? ', public' : ''}`
    const kind = peer.public ? 'peer public' : 'peer'
    return `<circle class="${kind}" cx="${coordinate(x)}" cy="${coordinate(y)}" r="${radius}"><title>${escaped(what)}</title></circle>`
  })
  const label = `The ring: ${picture.peers.length} peers and ${picture.links.length} links`
  return `<svg class="ring" viewBox="0 0 ${SIZE} ${SIZE}" role="img" aria-label="${label}">${groups.join('')}${dots.join('')}</svg>`
}

/** In units of the picture; own to the function, so that a strange device name is no key of the table's prototype. */
export function dotRadius(device: string): number {
  return Object.hasOwn(DOT_RADIUS, device) ? (DOT_RADIUS[device] ?? OTHER_RADIUS) : OTHER_RADIUS
}

interface Place {
  readonly x: number
  readonly y: number
}

function curveBetween(from: Place, to: Place): string {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  // A diameter is straight; neighbours follow the circle.
  const pull = 1 - (dx * dx + dy * dy) / (4 * RADIUS * RADIUS)
  const middle = SIZE / 2
  const x = middle + ((from.x + to.x) / 2 - middle) * pull
  const y = middle + ((from.y + to.y) / 2 - middle) * pull
  return `M${coordinate(from.x)} ${coordinate(from.y)}Q${coordinate(x)} ${coordinate(y)} ${coordinate(to.x)} ${coordinate(to.y)}`
}

/** The more curves, the fainter each. */
function opacityOf(count: number): number {
  if (count <= 100) return 0.7
  if (count <= 400) return 0.45
  return count <= 1_500 ? 0.28 : 0.15
}

/** The unit circle, from the top, clockwise; `turn` from 0 to 1. By series, as sim uses no sin and cos. */
export function onCircle(turn: number): readonly [x: number, y: number] {
  const whole = turn - Math.floor(turn)
  const quarter = Math.floor(whole * 4)
  const angle = (whole * 4 - quarter) * (Math.PI / 2)
  const square = angle * angle
  const sine = angle * series(square, [1, -1 / 6, 1 / 120, -1 / 5_040, 1 / 362_880, -1 / 39_916_800])
  const cosine = series(square, [1, -1 / 2, 1 / 24, -1 / 720, 1 / 40_320, -1 / 3_628_800, 1 / 479_001_600])
  if (quarter === 0) return [sine, -cosine]
  if (quarter === 1) return [cosine, sine]
  return quarter === 2 ? [-sine, cosine] : [-cosine, -sine]
}

function series(square: number, factors: readonly number[]): number {
  return factors.reduceRight((sum, factor) => sum * square + factor, 0)
}
