/**
 * The library under WebRTC in Node (libdatachannel), loaded when it is first needed and shared by all peers of the process, as its
 * threads are. Two things bite (docs/dependencies.md): what throws inside of one of its callbacks ends the process without a word,
 * and the process stays alive until `cleanup` is called.
 */
export type Library = typeof import('node-datachannel')

let users = 0
let library: Promise<Library> | null = null

/** One who uses it: from its first use on until it ends. */
export class LibraryUser {
  private isUser = false

  use(): Promise<Library> {
    if (!this.isUser) users += 1
    this.isUser = true
    library ??= import('node-datachannel')
    return library
  }

  async end(): Promise<void> {
    if (!this.isUser) return
    this.isUser = false
    users -= 1
    if (users === 0) (await library)?.cleanup()
  }
}

/** Around each callback: what it throws is thrown outside. */
export function safely(task: () => void): void {
  try {
    task()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}
