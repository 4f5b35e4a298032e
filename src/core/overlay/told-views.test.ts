import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { ToldViews } from './told-views.ts'

// reason: any text that differs serves as an id.
const [a, b] = ['a', 'b'] as PeerId[] as [PeerId, PeerId]

describe('what peers told', () => {
  it('is held once while it is the same, by teller', () => {
    const views = new ToldViews()
    const first = Float64Array.of(1, 2)
    expect(views.shared(a, first)).toBe(first)
    expect(views.shared(a, Float64Array.of(1, 2))).toBe(first)
    expect(views.shared(b, Float64Array.of(1, 2))).not.toBe(first)
    const newer = Float64Array.of(1, 3)
    expect(views.shared(a, newer)).toBe(newer)
    expect(views.shared(a, Float64Array.of(1, 2, 3))).toEqual(Float64Array.of(1, 2, 3))
  })

  it('is forgotten with its teller', () => {
    const views = new ToldViews()
    const told = views.shared(a, Float64Array.of(1))
    views.forget(a)
    expect(views.shared(a, Float64Array.of(1))).not.toBe(told)
  })
})
