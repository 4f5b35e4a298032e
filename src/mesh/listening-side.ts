/**
 * Where a peer takes connections, on a platform where it can: its ports, what others are told of them, and what it learns of the
 * network that its machine is in. Pages do without all of this, and do not carry it.
 */
import { type Address, addressText } from '../core/base/address.ts'
import { textOfBase64url } from '../core/base/base64url.ts'
import type { Fault } from '../core/base/fault.ts'
import { isGlobalHost } from '../core/base/global-host.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import { type PeerRef, refText } from '../core/crypto/peer-ref.ts'
import { type MappedPlace, NOTHING_KNOWN, type OwnNetwork, type OwnNetworkView } from '../host/own-network.ts'
import type { Listening } from '../host/platform.ts'
import type { RunLoop } from '../host/run-loop.ts'
import type { Store } from '../host/store.ts'
import type { Negotiator } from '../paths/negotiator.ts'
import type { PeerReport } from '../paths/shared-port/peer-page.ts'
import { announcedAddresses, type ServedUdp } from './announced-addresses.ts'
import { DialBack, type DialVerdict } from './dial-back.ts'
import { askToDial, DIAL_BACK_SUBJECT, DialBackHelper } from './dial-back-stream.ts'
import type { Dispatch } from './dispatch.ts'
import { CERTIFICATE_KEY, type MeshPlatform } from './mesh.ts'
import type { CheckedOptions, ListenPoint } from './mesh-options.ts'
import { WebmeshError } from './webmesh-error.ts'

/** The mesh whose peer takes connections, as far as that is of use here. */
export interface ListeningMesh {
  readonly id: PeerId
  readonly ref: string
  readonly startedAt: number
  readonly platform: MeshPlatform
  readonly options: CheckedOptions
  readonly negotiators: readonly Negotiator[]
  readonly loop: RunLoop
  readonly dispatch: Dispatch
  warn(fault: Fault): void
}

/** Within this a peer that was asked to dial this one has answered, or does not. */
const DIAL_BACK_PATIENCE_MS = 6_000

export class ListeningSide {
  private readonly mesh: ListeningMesh
  private readonly listeners: Listening[] = []
  /** Where STUN is served. */
  private udp: ServedUdp | null = null
  private ownNetwork: OwnNetwork | null = null
  private dialBack: DialBack | null = null
  private mappedPlace: MappedPlace | null = null
  private lookedAround: Promise<void> = Promise.resolve()
  /** What others were told to dial. */
  private announced = ''
  private closed = false

  constructor(mesh: ListeningMesh) {
    this.mesh = mesh
  }

  get places(): readonly string[] {
    return this.listeners.map(({ host, port }) => addressText({ scheme: 'tcp', host, port, extra: '' }))
  }

  view(): OwnNetworkView {
    const holes = this.ownNetwork?.holes() ?? []
    const dialIn = this.dialBack?.view().map(item => ({ ...item, hole: holes.includes(item.host) })) ?? []
    return { ...(this.ownNetwork?.view() ?? NOTHING_KNOWN), dialIn }
  }

  /** `kept`: the certificate that the store has for WebRTC. */
  async listen(points: readonly ListenPoint[], store: Store, kept: Uint8Array | null): Promise<void> {
    const certificate = this.mesh.options.webrtcPort === false ? null : await this.keepCertificate(store, kept)
    for (const point of points) await this.listenAt(point, certificate)
  }

  /** What this peer's WebRTC ports show, kept so that its addresses stay the same; null where nothing can listen. */
  private async keepCertificate(store: Store, kept: Uint8Array | null): Promise<Uint8Array | null> {
    const certificate = this.mesh.platform.certificate?.(kept) ?? null
    if (certificate === null || certificate === kept) return certificate
    const fault = await store.save([{ key: CERTIFICATE_KEY, value: certificate }])
    if (fault !== null) this.mesh.warn(fault)
    return certificate
  }

  private async listenAt(point: ListenPoint, certificate: Uint8Array | null): Promise<void> {
    const { platform, options, loop } = this.mesh
    if (platform.listen === null) throw new WebmeshError({ code: 'not-supported', detail: 'nothing can listen here' })
    const { webrtcPort } = options
    const webrtc = certificate === null || webrtcPort === false ? null : { port: webrtcPort, certificate }
    const listening = await platform.listen({
      ...point,
      webrtc,
      accept: wire => loop.accept(wire),
      report: () => this.report(),
    })
    if (!listening.ok) throw new WebmeshError(listening.fault)
    this.listeners.push(listening.value)
    this.serveUdp(listening.value)
  }

  /** What a port says of its peer. */
  private report(): PeerReport {
    const { loop, platform, id, ref, startedAt } = this.mesh
    const { links, estimatedPeers, waysIn } = loop.snapshot()
    const uptimeSeconds = Math.floor((platform.clock.monotonicNow() - startedAt) / 1000)
    return { peer: id, ref, otherRefs: waysIn.map(refText), links: links.length, estimatedPeers, uptimeSeconds }
  }

  /** STUN and punched wires beside the first port that takes connections. */
  private serveUdp({ host, port }: Listening): void {
    const { negotiators, options } = this.mesh
    for (const negotiator of negotiators) {
      if (this.udp !== null) return
      const served = negotiator.serve?.(host, options.udpPort ?? (port < 65_535 ? port + 1 : 0)) ?? null
      if (served !== null) this.udp = { host, ...served }
    }
  }

  /** Tells others where this peer is, if that is another place than before. */
  announce(): void {
    const { listeners, udp, mappedPlace } = this
    const { options, platform, loop } = this.mesh
    const given = options.announce
    const isOpen = ({ host }: Address): boolean => this.dialBack?.isClosed(host) !== true
    const addresses =
      given === null
        ? announcedAddresses(listeners, udp, platform.ownHosts, mappedPlace).filter(isOpen)
        : this.withCertificate(given)
    const announced = addresses.map(addressText).join()
    if (announced === this.announced) return
    this.announced = announced
    loop.command({ kind: 'announce', addresses })
  }

  /** This machine may be in another network. What the gateway mapped is taken away before it is asked anew: the one would undo the other. */
  lookAnew(): void {
    this.forgetMappings()
    this.announce()
    this.lookedAround = this.lookedAround.then(async () => {
      await this.ownNetwork?.close()
      if (this.closed) return
      this.mappedPlace = null
      this.dialBack?.forget()
      this.announce()
      this.lookAround()
    })
  }

  /** The network may have changed outside of this machine, which is where it was. */
  lookAgain(): void {
    this.forgetMappings()
    this.ownNetwork?.lookAgain()
  }

  private forgetMappings(): void {
    for (const negotiator of this.mesh.negotiators) negotiator.onNetworkChanged?.()
  }

  /** What is to be known of this machine's network is found out while the user goes on. */
  begin(): void {
    this.lookAround()
    this.watchDialIn()
  }

  /** How other peers see this machine, and whether its gateway lets them in. */
  private lookAround(): void {
    const { platform, options, negotiators, dispatch } = this.mesh
    const survey = negotiators.map(negotiator => negotiator.survey?.bind(negotiator)).find(known => known)
    if (platform.openOwnNetwork === null || survey === undefined) return
    this.ownNetwork = platform.openOwnNetwork({
      clock: platform.clock,
      listening: this.listeners,
      udpPort: this.udp?.ipv4 ?? null,
      udpPort6: this.udp?.ipv6 ?? null,
      ownHosts: platform.ownHosts,
      noMapping: options.announce !== null ? 'announce-given' : options.portMapping ? null : 'switched-off',
      findHelpers: async () => {
        const found = await dispatch.request(undefined, 'helpers-found', request => ({ kind: 'helpers-find', request }))
        return found.helpers
      },
      survey,
      onMappedPlace: place => {
        this.mappedPlace = place
        this.announce()
      },
      onHoleChanged: host => this.dialBack?.lookAgain(host),
    })
  }

  /** Others are asked to dial this peer, and dial them when they ask. */
  private watchDialIn(): void {
    const { platform, options, dispatch, loop } = this.mesh
    const { answersAt, clock, ownHosts } = platform
    if (answersAt === null || this.listeners.length === 0) return
    dispatch.handle(DIAL_BACK_SUBJECT, new DialBackHelper({ clock, answersAt }).serve)
    // What a user says of it is not doubted.
    if (options.announce !== null) return
    this.dialBack = new DialBack({
      clock,
      ownHosts,
      places: () => onePerHost(announcedAddresses(this.listeners, null, ownHosts)),
      helpers: () => loop.snapshot().waysIn,
      ask: (helper, place) => this.askToDial(helper, place).catch(() => 'not-tried'),
      onChange: () => this.announce(),
    })
  }

  private async askToDial(helper: PeerRef, place: Address): Promise<DialVerdict> {
    const signal = AbortSignal.timeout(DIAL_BACK_PATIENCE_MS)
    const session = await this.mesh.dispatch.connect(helper, signal)
    const stream = await session.open(DIAL_BACK_SUBJECT, { signal })
    return askToDial(stream, place, signal)
  }

  onLink(): void {
    this.ownNetwork?.onLink()
    this.dialBack?.onLink()
  }

  async close(): Promise<void> {
    this.closed = true
    this.dialBack?.close()
    await Promise.all([...this.listeners.map(listener => listener.close()), this.ownNetwork?.close()])
  }

  /** What was given to announce, with the hash of this peer's certificate where none was named. */
  private withCertificate(given: readonly Address[]): readonly Address[] {
    const hash = this.listeners.find(({ webrtc }) => webrtc !== null)?.webrtc?.certificateHash
    return given.flatMap(address => {
      if (address.scheme !== 'webrtc' || address.extra !== '') return [address]
      if (hash !== undefined) return [{ ...address, extra: textOfBase64url(hash) }]
      const detail = `${addressText(address)} is not announced: no UDP port takes WebRTC`
      this.mesh.warn({ code: 'listen-failed', detail })
      return []
    })
  }
}

/** The places of TCP that are the same machine from anywhere, the first of each host. */
function onePerHost(addresses: readonly Address[]): readonly Address[] {
  const global = addresses.filter(({ scheme, host }) => scheme === 'tcp' && isGlobalHost(host))
  return global.filter(({ host }, at) => global.findIndex(other => other.host === host) === at)
}
