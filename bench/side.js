/** One process of a measurement: does what the bench asks of it over IPC, and ends when the bench does. */
import { meshCommands } from './mesh-side.js'
import { plainCommands } from './plain-side.js'

/** @type {Record<string, (argument: any) => unknown>} */
const commands = { ...plainCommands, ...meshCommands }

process.on('disconnect', () => process.exit())
process.on('message', async message => {
  // reason: the bench alone sends messages, and always this one.
  const { id, name, argument } = /** @type {{ id: number, name: string, argument: unknown }} */ (message)
  try {
    process.send?.({ id, value: await commands[name]?.(argument) })
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? error.message : String(error) })
  }
})
