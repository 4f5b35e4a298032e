/**
 * A real Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/): Playwright drives only a Firefox of its own
 * making, which no package carries.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'

const FIREFOX = process.env.WEBMESH_FIREFOX ?? '/usr/bin/firefox-esr'

/** Why the tests in Firefox cannot run here, or null. */
export const noFirefox: string | null = existsSync(FIREFOX)
  ? null
  : `there is no Firefox at ${FIREFOX}: install it (apt-get install firefox-esr) or set WEBMESH_FIREFOX`

/** No traffic but the tests'. */
const PREFERENCES: Readonly<Record<string, boolean | string | number>> = {
  'app.normandy.enabled': false,
  'app.update.auto': false,
  'browser.safebrowsing.blockedURIs.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.systemAddon.update.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.localDomains': 'page.test,peer.test',
  'services.settings.server': 'http://127.0.0.1:9',
  'toolkit.telemetry.enabled': false,
}
const DEBUGGING = ['--remote-debugging-port', '0']
const START_MS = 20_000

interface Reply {
  readonly id?: number
  readonly type: 'success' | 'error' | 'event'
  readonly result?: unknown
  readonly message?: string
  readonly method?: string
  readonly params?: LogEntry
}

/** What `log.entryAdded` tells (WebDriver BiDi, 7.7.2). */
interface LogEntry {
  readonly level?: string
  readonly text?: string
  readonly type?: string
  readonly source?: { readonly context?: string }
  readonly stackTrace?: object
}

/** What `script.callFunction` gives: here always a string of JSON, or what was thrown. */
interface CallResult {
  readonly type: 'success' | 'exception'
  readonly result?: { readonly value?: string }
  readonly exceptionDetails?: { readonly text: string }
}

export class Firefox {
  private readonly process: ChildProcess
  private readonly profile: string
  private readonly socket: WebSocket
  private readonly waiting = new Map<number, (reply: Reply) => void>()
  private readonly tabs = new Map<string, FirefoxTab>()
  private nextId = 1

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.process = child
    this.profile = profile
    this.socket = socket
    socket.on('message', data => this.onReply(JSON.parse(String(data)) as Reply))
  }

  static async launch(): Promise<Firefox> {
    if (noFirefox !== null) throw new Error(noFirefox)
    const profile = mkdtempSync(join(tmpdir(), 'webmesh-firefox-'))
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`)
    writeFileSync(join(profile, 'user.js'), lines.join('\n'))
    const child = spawn(
      // It does not end by itself with the process that drives it, which may be killed; its own processes end with it.
      'setpriv',
      ['--pdeathsig', 'KILL', FIREFOX, '--headless', '--no-remote', '--profile', profile, ...DEBUGGING],
      // What they say must not hold this one's streams open.
      { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' } },
    )
    const socket = new WebSocket(`${await driverOf(child)}/session`)
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    const firefox = new Firefox(child, profile, socket)
    await firefox.command('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } })
    await firefox.command('session.subscribe', { events: ['log.entryAdded'] })
    return firefox
  }

  async newTab(): Promise<FirefoxTab> {
    const { context } = (await this.command('browsingContext.create', { type: 'tab' })) as { context: string }
    const tab = new FirefoxTab(context, (method, params) => this.command(method, { context, ...params }))
    this.tabs.set(context, tab)
    return tab
  }

  async close(): Promise<void> {
    const ended = new Promise(resolve => this.process.once('exit', resolve))
    // Asked, it ends the processes that it has begun; killed, it would leave them for a while.
    this.socket.send(JSON.stringify({ id: this.nextId++, method: 'browser.close', params: {} }))
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(timer)
    this.socket.terminate()
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 })
  }

  private async command(method: string, params: object): Promise<unknown> {
    const id = this.nextId++
    const reply = await new Promise<Reply>(resolve => {
      this.waiting.set(id, resolve)
      this.socket.send(JSON.stringify({ id, method, params }))
    })
    if (reply.type === 'error') throw new Error(`${method}: ${reply.message}`)
    return reply.result
  }

  private onReply({ id, params, ...reply }: Reply): void {
    if (id !== undefined) {
      this.waiting.get(id)?.(reply)
      this.waiting.delete(id)
    } else if (params?.type === 'javascript' && params.level === 'error' && !isOfWire(params)) {
      this.tabs.get(params.source?.context ?? '')?.errors.push(params.text ?? '')
    }
  }
}

/**
 * Whether an entry is Firefox's own word on a WebSocket that did not open, which it files with the errors of scripts:
 * a page of ours may well dial a peer that is gone. Chromium does not count that as an error of the page either.
 */
function isOfWire({ text, stackTrace }: LogEntry): boolean {
  return stackTrace === undefined && /\bwss?:\/\//.test(text ?? '')
}

export class FirefoxTab {
  /** Errors that the page reported, without those of Firefox on wires. */
  readonly errors: string[] = []
  private readonly context: string
  private readonly command: (method: string, params: object) => Promise<unknown>

  constructor(context: string, command: (method: string, params: object) => Promise<unknown>) {
    this.context = context
    this.command = command
  }

  async goto(url: string): Promise<void> {
    await this.command('browsingContext.navigate', { url, wait: 'complete' })
  }

  /** Calls a function in the page; what goes in and comes out is JSON. */
  async evaluate<T>(task: () => T | Promise<T>): Promise<T>
  async evaluate<A, T>(task: (argument: A) => T | Promise<T>, argument: A): Promise<T>
  async evaluate<A, T>(task: (argument?: A) => T | Promise<T>, argument?: A): Promise<T> {
    const outcome = (await this.command('script.callFunction', {
      functionDeclaration: `async text => JSON.stringify((await (${task.toString()})(JSON.parse(text))) ?? null)`,
      arguments: [{ type: 'string', value: JSON.stringify(argument ?? null) }],
      target: { context: this.context },
      awaitPromise: true,
    })) as CallResult
    if (outcome.type === 'exception') throw new Error(outcome.exceptionDetails?.text)
    // reason: the function that was called says so.
    return JSON.parse(outcome.result?.value ?? 'null') as T
  }

  /** Until a global of this name is there. */
  async waitFor(name: string): Promise<void> {
    await this.evaluate(async wanted => {
      for (let tries = 0; tries < 500 && !(wanted in globalThis); tries += 1)
        await new Promise(go => setTimeout(go, 10))
    }, name)
  }

  async screenshot(): Promise<Buffer> {
    const shot = await this.command('browsingContext.captureScreenshot', {})
    return Buffer.from((shot as { data: string }).data, 'base64')
  }
}

/** The address at which a Firefox that was just begun takes commands. */
function driverOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (): void => reject(new Error(`Firefox does not start: ${said.slice(0, 500)}`))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail()
    }, START_MS)
    child.once('exit', fail)
    child.stderr?.on('data', (data: Buffer) => {
      said += String(data)
      const url = /WebDriver BiDi listening on (ws:\S+)/.exec(said)?.[1]
      if (url === undefined) return
      clearTimeout(timer)
      child.off('exit', fail)
      resolve(url)
    })
  })
}
