/** A machine that comes into another network: what the old gateway mapped is given back before a new one is asked. */
import { expect, it } from 'vitest'
import { NOTHING_KNOWN } from '../host/own-network.ts'
import { startMesh } from './mesh.ts'
import { nodeMeshPlatform } from './mesh-platform.node.ts'

it('the gateway is asked anew when what it mapped is taken away, once for each change, and not after the end', async () => {
  const happened: string[] = []
  let change: (lost: boolean) => void = () => {}
  let opened = 0
  const closings: (() => void)[] = []
  const mesh = await startMesh(
    {
      ...nodeMeshPlatform(),
      watchNetwork: onChanged => {
        change = onChanged
        return () => {}
      },
      openOwnNetwork: () => {
        const number = ++opened
        happened.push(`open ${number}`)
        return {
          view: () => NOTHING_KNOWN,
          holes: () => [],
          onLink: () => {},
          lookAgain: () => {},
          close: () => {
            happened.push(`close ${number}`)
            return new Promise<void>(resolve => {
              closings.push(() => {
                happened.push(`closed ${number}`)
                resolve()
              })
            })
          },
        }
      },
    },
    { listen: ['127.0.0.1:0'] },
  )
  change(true)
  change(false)
  for (const wanted of [2, 3]) {
    await expect.poll(() => closings.length).toBe(wanted - 1)
    closings.at(-1)?.()
    await expect.poll(() => opened).toBe(wanted)
  }
  expect(happened).toEqual(['open 1', 'close 1', 'closed 1', 'open 2', 'close 2', 'closed 2', 'open 3'])
  change(true)
  await expect.poll(() => closings.length).toBe(3)
  const ended = mesh.close()
  await expect.poll(() => closings.length).toBe(4)
  for (const close of closings.slice(2)) close()
  await ended
  expect(opened).toBe(3)
})
