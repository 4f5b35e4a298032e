/**
 * Every bound and interval of the core, with its reason, by layer. What a stranger can grow has its ceiling here.
 * Relations between them are asserted at the end.
 */
import { invariant } from './base/invariant.ts'

// ---- packet keys (spec 4.1) ----

/**
 * Packets under one key. At 64 KiB each they are 2^32 blocks of AES, which give an attacker of AES-GCM a chance of about
 * 2^-65; RFC 9001 (section 6.6) would allow eight times as many packets. An exchange costs 30 µs.
 */
export const PACKETS_PER_KEY = 1_048_576

// ---- wire (spec 3) ----

/**
 * A packet's plaintext: above 64 KiB nothing is gained, below it the cost per packet shows. The 64 bytes beyond are for
 * headers, so that a write of 64 KiB is one packet.
 */
export const PACKET_PLAINTEXT_BYTES_MAX = 65_600
/** A frame's body: a full packet, its number and tag, and the headers of nested circuits. */
export const FRAME_BYTES_MAX = PACKET_PLAINTEXT_BYTES_MAX + 512
/** What may wait in the process for one wire's socket before sessions hold back. */
export const WIRE_QUEUE_BYTES_MAX = 1_048_576
/** Unacknowledged bytes over a wire: all that a session keeps. A wire has its own flow control. */
export const FLIGHT_BYTES_MAX = 16_777_216
/** A wire over which no one has proven who they are within this time is closed. */
export const WIRE_UNPROVEN_MS = 10_000
/** A handshake that takes longer has failed: several round trips around the world, with a lost packet. */
export const HANDSHAKE_TIMEOUT_MS = 5_000
/** Handshakes under way at once; beyond it the oldest gives way. */
export const SESSIONS_UNPROVEN_MAX = 256
/** Of them over one wire or circuit: an honest peer starts one, and another when it gave that up. */
export const HANDSHAKES_PER_CARRIER_MAX = 4
/**
 * WebRTC calls to a port of this peer (spec 3.6) that are not open yet, in all (the oldest gives way) and of one source, and how many
 * are begun in a second: a stranger's STUN packet, whose sender may be forged, begins one, which costs 0.3 MB and sends some packets
 * back. Those of one source in all, open ones with it: pages share an address behind a NAT.
 */
export const CALLS_OPENING_MAX = 64
export const CALLS_OPENING_PER_SOURCE_MAX = 8
export const CALLS_PER_SECOND_MAX = 32
export const CALLS_PER_SOURCE_MAX = 64
/** Places that one caller is seen at: its networks and families. What comes before the connection is there waits, if it is little. */
export const CALL_LANES_MAX = 4
export const CALL_EARLY_DATAGRAMS_MAX = 4
/** The page of a call that has ended goes on asking for a while: it begins no other one. */
export const CALLS_ENDED_KEPT_MAX = 1_024
export const CALLS_ENDED_KEPT_MS = 60_000

// ---- session (spec 4) ----

/** A stream's unread bytes: 30 MB/s at 100 ms. Above 2 MiB loopback gains nothing, and loses nothing. */
export const STREAM_WINDOW_BYTES = 4_194_304
/** Credit is given back by this part of a window. By halves, only half a window a round trip is sure (measured). */
export const CREDIT_STEPS = 4
/** A session's unread bytes over all its streams: what one stranger can pin. Four unread streams fill it. */
export const SESSION_WINDOW_BYTES = 16_777_216
/** Streams that one side may have open at once. */
export const STREAMS_OPEN_MAX = 256
/** Ended streams that their reader has not emptied are held beside the open ones up to this many in all. */
export const STREAMS_HELD_MAX = 1_024
/** A stream's subject: a service's name with its version, and a method. */
export const SUBJECT_BYTES_MAX = 128
/** Above the high mark a writer is asked to wait; at the low mark it is asked on. Several packets each. */
export const STREAM_QUEUE_HIGH_BYTES = 262_144
export const STREAM_QUEUE_LOW_BYTES = 131_072
/** While several streams have data, none puts more than this into a packet before the next has its turn. */
export const STREAM_QUANTUM_BYTES = 16_384
/** Pieces up to this size are copied together: cheaper than a cipher call and a buffer for each. */
export const COPIED_PIECE_BYTES_MAX = 8_192
/** A whole message between parts: a few dozen refs. */
export const MESSAGE_BYTES_MAX = 16_384
/** Control frames and messages that wait for room: beyond it a sender is told no. */
export const CONTROL_QUEUE_BYTES_MAX = 262_144
/** What the session's own answers (pongs, refusals) may add to that before the asker is at fault. */
export const ANSWER_QUEUE_BYTES_MAX = 524_288
/** With its headers a datagram stays below 1,280 bytes, IPv6's least MTU, so that no path cuts it. */
export const DATAGRAM_BYTES_MAX = 1_200
/** Pings that wait for their answer. */
export const PINGS_OPEN_MAX = 64
/** Sealed packets that wait for acknowledgement: 80 MB/s at 100 ms. */
export const UNACKNOWLEDGED_BYTES_MAX = 8_388_608
export const UNACKNOWLEDGED_PACKETS_MAX = 1_024
/** Packets that announce a change of path go beyond that bound by as many as this. */
export const UNACKNOWLEDGED_RESERVE_PACKETS = 64
/** Opened packets that wait for an earlier one. A reliable path never needs them. */
export const REORDER_BYTES_MAX = 4_194_304
export const REORDER_PACKETS_MAX = 1_024
/** Runs of packets held out of order: an acknowledgement tells them all. */
export const REORDER_RANGES_MAX = 32
/** How long an acknowledgement waits for something to ride on. */
export const ACKNOWLEDGE_DELAY_MS = 25
/** After so much it waits no longer: the sender's queue must not stand still for it. */
export const ACKNOWLEDGE_BYTES = 524_288
export const ACKNOWLEDGE_PACKETS = 64
/** The same over a path that may drop: its sender has less under way, and waits for room sooner. */
export const ACKNOWLEDGE_BYTES_UNRELIABLE = 262_144
/** Over a wire up to so much is acknowledged with the next packet only, whenever that comes: the sender holds it meanwhile. */
export const ACKNOWLEDGE_UNASKED_BYTES = 2_048
export const ACKNOWLEDGE_UNASKED_PACKETS = 8
/** Timeouts for sending again over a path that may drop (RFC 6298, with a lower floor as in QUIC and Linux). */
export const RESEND_TIMEOUT_MS_MIN = 200
export const RESEND_TIMEOUT_MS_MAX = 10_000
export const RESEND_TIMEOUT_MS_FIRST = 600
/** Over a wire, what is missing before packets that the other side holds goes again after this. */
export const GAP_PATIENCE_MS = 1_000
/**
 * What may be under way over a path that may drop begins with so much, doubles with each round trip that needs all of it
 * until something is lost, and is never less than two full packets: one would wait for its acknowledgement each time.
 */
export const WINDOW_BYTES_FIRST = 262_144
export const WINDOW_BYTES_MIN = 131_072
/** What is left of it after that; from there on it grows by this for each round trip. */
export const WINDOW_CUT = 0.7
export const WINDOW_STEP_BYTES = 65_536
/** While a stream's bytes are under way, or just were, it is looked this often whether the other side was heard. */
export const WATCH_LOOK_MS = 100
/** After so many looks in vain it is asked, or, where it should have answered, the path is in doubt. */
export const WATCH_LOOKS = 3
/**
 * Silences that ended by themselves make it more patient, up to so many looks, and less so with each look that hears. More would make
 * short cuts that follow each other hide a longer one (1.9 s without a byte, measured with 10, 1.5 s with 2).
 */
export const USUAL_LOOKS_MAX = 1
export const USUAL_SILENCE_DECAY = 0.9
/** A short path needs no more than the first of these; a longer one 20 MB/s. */
export const WINDOW_BYTES_NEAR = 786_432
export const WINDOW_BYTES_PER_MS = 20_000
/** A packet is lost when so many sent after it have arrived (RFC 9002, 6.1.1). */
export const REORDER_TOLERANCE_PACKETS = 3

// ---- overlay (spec 5) ----

/** Links a peer asks to keep on each side of it on the ring. */
export const NEAR_PER_SIDE = 2
/** A peer that cannot be dialled keeps so many links to public peers before any other; they are its rendezvous. */
export const PUBLIC_LINKS_MIN = 3
/** Addresses of a rendezvous in a ref: one for Node peers, one for pages, one for pages that came over https. */
export const RENDEZVOUS_ADDRESSES_MAX = 3
/** Room kept free of far, random and guest links, so that near ones always find some. */
export const LINKS_RESERVED = 2
/** Positions that a peer announces as its links': a server's ceiling. */
export const NEIGHBOURS_MAX = 256
/** Refs in one message: with 350 bytes each they fit a message frame. */
export const REFS_PER_MESSAGE_MAX = 16
/** Public peers that an answer to a search tells of at most, wherever they are. */
export const SEARCH_PUBLIC_REFS = 3
/** Refs that a search says are known: those around its key. */
export const MARKS_MAX = 16
/** What was asked for by name is asked of no other within this; so many are kept in mind. */
export const REF_ASK_AGAIN_MS = 1_000
export const REFS_ASKED_MAX = 256
/** With a full memory one in so many refs that were named and are unknown is asked for: it stays fresh, and cheap. */
export const REF_ASK_SHARE = 1 / 4
/** Public peers that a way in tells a newcomer of: one more than it needs. */
export const WAY_IN_PUBLIC_REFS = 4
/** Of so many drawn by chance the one with the most room is taken. */
export const ROOM_CHOICES = 3
/** A way in that carries no more links than this stays one, where there is room. */
export const WAY_IN_KEPT_LINKS = 24
/** It tells a newcomer of so many of its links, those nearest to it; of the rest with what changes later, if that one stays. */
export const WAY_IN_TOLD_LINKS = 32
/** Random and public refs in a gossip message, beside those around the partner. */
export const GOSSIP_RANDOM_REFS = 2
export const GOSSIP_PUBLIC_REFS = 3
/** Links beside those next to it that a newcomer which accepts dials is told to by the one it joins through. */
export const INTRODUCED_PUBLIC = 8
/** Peers that a peer remembers beside its links, and how many of them at most for each reason. */
export const REMEMBERED_MAX = 256
export const REMEMBERED_LOST_MAX = 64
export const REMEMBERED_NEAR_MAX = 64
/** A silent link is pinged after this time and dead when it does not answer (prototype, rule 1). */
export const LINK_SILENT_MS = 20_000
/** The same over a circuit, whose relays ask each other: one of them tells both ends when the way on is lost. */
export const CIRCUIT_SILENT_MS = 30_000
/** The link to the next peer on the ring that a wire leads to is pinged after this: when all are lost at once it is the first to tell. */
export const WATCHED_SILENT_MS = 8_000
/** Who holds streams and heard nobody for so long asks one peer, and, while that keeps silent, all. */
export const QUIET_MS = 1_000
/** Silence is looked at in such steps: a ping leaves up to so much later. */
export const SILENCE_STEP_MS = 2_000
export const PING_TIMEOUT_MS = 3_000
/** Far away a wire takes longer: TCP that loses a packet four times in a row is 15 round trips late (RFC 6298, 5.5). */
export const PING_TIMEOUT_ROUND_TRIPS = 16
export const PING_TIMEOUT_FAR_MS = 8_000
/** Over several wires one slow moment comes to the other. */
export const CIRCUIT_PING_TIMEOUT_MS = 5_000
/** When one link dies, all that have been silent for so long are pinged (rule 2). */
export const SUSPECT_SILENT_MS = 3_000
/** So many links, and this share of all, lost within the window, are an alarm of this length (rule 2). */
export const ALARM_LOST_MIN = 2
export const ALARM_LOST_SHARE = 1 / 3
export const ALARM_WINDOW_MS = 10_000
export const ALARM_MS = 120_000
/** How often the overlay looks at its links: settled, and in an alarm or while it has too few. */
export const TEND_MS = 1_000
/** So many times as long where nothing is due and nobody is sought. */
export const TEND_REST_STEPS = 5
export const TEND_HUNGRY_MS = 250
/** And at the latest then, in an alarm and while it has too few: what it waits for mostly tells of itself. */
export const TEND_HUNGRY_MAX_MS = 3_000
/** Peers being linked to at once: settled, and in an alarm. */
export const LINKING_MAX = 4
export const LINKING_ALARM_MAX = 8
/**
 * A newcomer behind a NAT first looks for public peers beside its way in, for so long; meanwhile others behind NATs leave
 * it alone. What they tell each other would all go through the way in. With two it may begin.
 */
export const NEWCOMER_MS = 1_500
export const NEWCOMER_PUBLICS = 2
/** In an alarm most who are tried are dead: who has not answered by then holds up no other try. */
export const LINKING_ALARM_SLOT_MS = 3_000
/** A candidate that failed waits, twice as long each time (rule 5); a near one waits less in an alarm. */
export const CANDIDATE_BACKOFF_MS = 15_000
export const CANDIDATE_BACKOFF_ALARM_MS = 4_000
/** One that nobody has heard of since the alarm began, and that is not known where it should be. */
export const CANDIDATE_BACKOFF_GONE_MS = 60_000
export const CANDIDATE_BACKOFF_MAX_MS = 600_000
/** A near link that was refused is asked for again after this, doubling (rule 4). */
export const REFUSED_BACKOFF_MS = 2_000
export const REFUSED_BACKOFF_MAX_MS = 64_000
/** A way in is tried again after this while there is no link, twice as long each time; so many are kept. */
export const WAY_IN_RETRY_MS = 4_000
export const WAY_IN_RETRY_MAX_MS = 60_000
export const WAYS_IN_MAX = 64
/** A link that was asked for and not answered is given up. */
export const LINK_ASK_TIMEOUT_MS = 5_000
/** Who is being reached or asked counts as a neighbour for so long. */
export const LINK_HOPED_MS = 2_000
/** When something worth a look happened, the overlay looks at its links so soon. */
export const TEND_SOON_MS = 20
/** Far and random links are asked for this often at most; each refusal doubles it (rule 3). */
export const ROAM_MIN_MS = 1_000
export const ROAM_MAX_MS = 300_000
/** The same while a peer has fewer links than it needs to be safe; and where it has not even this share of those, or is in an alarm. */
export const STARVING_SHARE = 3 / 4
export const ROAM_HUNGRY_MAX_MS = 12_000
export const ROAM_STARVING_MAX_MS = 3_000
/** Where no known peer fits a far link, one is searched for this often at most. */
export const FAR_SEARCH_MS = 15_000
/** In smaller networks drawn far links lead to the next server in any case. */
export const HUB_FROM_PEERS = 100_000
/** So many are asked to be a hub, the nearest first; then none for as long as this. */
export const HUB_TRIES = 3
export const HUB_AGAIN_MS = 600_000
/** Gossip starts this long after a change of the near links and slows down by doubling (rule 6). */
export const GOSSIP_MIN_MS = 1_000
export const GOSSIP_MAX_MS = 40_000
/** After a mass failure it slows down only so far. */
export const GOSSIP_ALARM_MAX_MS = 4_000
/** Only refs heard of so recently are passed on (rule 7). */
export const FRESH_MS = 300_000
/** What a link told of the network's size counts for so long, while what this peer sees alone has changed by less than that. */
export const ESTIMATE_MS = 120_000
export const ESTIMATE_DRIFT = 1.25
/** The same links are not looked at again for this peer's own estimate before. */
export const OWN_ESTIMATE_MS = 2_000
/** The search for one's own position: its interval doubles from the first to the second (rule 8). */
export const SEARCH_MIN_MS = 3_000
export const SEARCH_MAX_MS = 120_000
/** How long changes of the links are gathered before the neighbours hear of them. */
export const NEIGHBOURS_DELAY_MS = 500
/** And how long they hear no more after that: links come and go together. */
export const NEIGHBOURS_PAUSE_MS = 3_000
/** So long while this peer has what it needs and nothing was lost: who was let go still knows the way. */
export const NEIGHBOURS_CALM_MS = 15_000
/** Three times that with more links than this: some always change, and a server tells 256. */
export const NEIGHBOURS_MANY = 64
/**
 * The next hop towards a peer is the one over which a request is expected there soonest: half the round trip with it, a hop more
 * and so much for each octave where what it leads to is not that peer, and so much where it does not itself stand closer than this one.
 */
export const ROUTE_HOP_MS = 60
export const ROUTE_OCTAVE_MS = 80
export const ROUTE_BACK_MS = 30
/** What a round trip counts at most, and where it was not measured. */
export const ROUTE_ROUND_TRIP_MS_MAX = 400
/** A link over a circuit with one who is a neighbour no more is given up at this interval, where enough others are left. */
export const UNBURDEN_MS = 20_000
/**
 * A peer that cannot be dialled looks this often whether circuits to it, and those of its sessions, had better run over
 * public peers that carry less: a circuit weighs as much as so many links, and what is won must be worth it.
 */
export const REBALANCE_MS = 120_000
export const RELAYED_WEIGHT = 8
export const REBALANCE_RATIO = 1.5
/** Of so many that could be named by chance the least loaded: all at once would come to the same. */
export const REBALANCE_CHOICES = 2
/** A random link is exchanged for another at this interval (rule 11). */
export const ROTATE_MS = 600_000
/** How often a peer that was lost is looked for again (rule 9). */
export const LOST_PROBE_MS = 45_000
/** How often remembered peers are written to the store. */
export const REMEMBER_SAVE_MS = 5_000
/** A peer's own ref lives a week and is signed anew each day. */
export const REF_RENEW_MS = 86_400_000
/** Services in one answer to a user. */
export const SERVICE_LIST_MAX = 10_000
/** A session that nobody here needs closes when it has been silent for longer than the other side's pings would allow. */
export const SESSION_LINGER_MS = 50_000
/** Who has told the other side that it needs a session no more ends it after so long without an answer. */
export const FAREWELL_MS = 5_000
/** A peer that has not run for so long (a laptop that slept) is gone for all others: it begins anew. */
export const AWAY_MS = 50_000
/** The signature of a ref that comes with a new session is verified so much later: what comes right behind it goes first. */
export const HELLO_VERIFY_MS = 1
/** Who leaves waits so long for the registry to answer that its records are withdrawn: the first hop may know no way on. */
export const LEAVE_PATIENCE_MS = 500
/** All sessions are looked at this often at most. */
export const SESSIONS_CHECK_MS = 100
/** Of two sessions opened so close together by two peers that chose each other, one is kept (spec 5.2). */
export const GLARE_MS = 5_000
/** How long a session without a path is kept for another one to be found. */
export const PATHLESS_MS = 15_000
/** The same where a stream is open or a user holds it, unless the user says something else; looked for all the while. */
export const PATHLESS_NEEDED_MS = 120_000
/** One whose path had kept silent for longer than that when it was noticed is looked for so long all the same. */
export const PATHLESS_NOTICED_MS = 3_000
/** A path that should have been heard and was not for so long, beyond what is usual, is in doubt: others are tried beside it. */
export const DOUBT_AFTER_MS = WATCH_LOOKS * WATCH_LOOK_MS
/** The same of a circuit on which a relay holds the sender back: queues of others' frames may be long. */
export const HELD_DOUBT_AFTER_MS = 3_000
/** Over a circuit that answers nothing of a stream has arrived for so long: others are tried beside it, after twice as long again. */
export const STANDSTILL_MS = 5_000
/** A dial that hangs is made anew after this while there is no path: the system's own next try comes ever later. */
export const REDIAL_MS = 700
/** A circuit that is kept beside a wire for a stream's sake is asked this often: hops forget those that are silent for longer. */
export const STANDBY_ASK_MS = 30_000
/** A wire that was negotiated and breaks, or fails at once, is offered anew so soon, doubling, so many times. */
export const OFFER_SOON_MS = 1_000
export const OFFERS_SOON_MAX = 3
/** What `at once` is; and how long a wire must have stood for all of that to begin anew. */
export const OFFER_FAILED_SOON_MS = 2_000
export const WIRE_STOOD_MS = 60_000
/** Whether a carrier leads to the other side of a session must be answered by then; asked again over a circuit. */
export const PATH_ASK_TIMEOUT_MS = 2_000
export const PATH_ASK_AGAIN_MS = 500
/** A carrier that no session travels over any more is let go after this: the other side may still be moving. */
export const CARRIER_GRACE_MS = 10_000
/** A session over a circuit looks for a wire: first after this, the side that did not open it later; then ever more rarely. */
export const UPGRADE_AFTER_MS = 1_000
export const UPGRADE_TURN_MS = 1_500
export const UPGRADE_BACKOFF_MS = 30_000
export const UPGRADE_BACKOFF_MAX_MS = 600_000
/** What one host tells the other of a wire through NATs: an SDP with many candidates, or a few addresses. */
export const PATH_DESCRIPTION_BYTES_MAX = 4_096
/** Addresses of private networks count again when for so long no wire has led outside (spec 5.2): a line that is down for a moment
 * changes nothing. */
export const OUTSIDE_KEPT_MS = 600_000
/** Refs of other ways in that a peer tells whoever asks its port. */
export const WAYS_IN_TOLD_MAX = 8
/** Public peers that are asked by STUN for one wire, by each family; so many of each kind are looked at for them. */
export const HELPERS_MAX = 3
export const HELPERS_LOOKED_AT = 16
/** Wires that are negotiated at once: each is a socket, or an RTCPeerConnection, of the host. */
export const NEGOTIATIONS_MAX = 16
/** A wire that is not open by then has failed: sprayed ports take up to 7 s. */
export const NEGOTIATION_TIMEOUT_MS = 8_000
/** Where either side has an address, a dial has this head start. */
export const NEGOTIATION_STAGGER_MS = 4_000
/** Offers over one session within the window that are looked at, and refusals after which it ends. Honest peers make 4. */
export const OFFERS_WINDOW_MS = 60_000
export const OFFERS_TAKEN_MAX = 8
export const OFFERS_REFUSED_MAX = 64
/**
 * Wires of a scarce transport, dialled and negotiated: 32 at once and 8 an hour are 96 in 8 hours, and some that were prepared for
 * nobody yet. Links leave the last few to users.
 */
export const SCARCE_WIRES_BURST = 32
export const SCARCE_WIRES_INTERVAL_MS = 450_000
export const SCARCE_WIRES_RESERVE = 4
/** Addresses of one peer that are dialled: what a ref holds, and a few learnt since. */
export const ADDRESSES_TRIED_MAX = 12
/** A dial that has not opened a wire by then has failed. */
export const DIAL_TIMEOUT_MS = 2_500
/** The next address of a peer is tried beside the first after this time (RFC 8305). */
export const DIAL_STAGGER_MS = 250
/** A circuit is tried beside the dials after this time. */
export const CIRCUIT_STAGGER_MS = 400
/** The same where only a link is wanted: circuits to those that can be dialled would go through the way in for nothing. */
export const CIRCUIT_STAGGER_LINK_MS = 1_000
/** A peer that was not reached by then is unreachable. */
export const REACH_TIMEOUT_MS = 10_000
/** For so long a user's attempt is made again where nothing leads to the peer: a mesh heals in less. */
export const REACH_PATIENCE_MS = 5_000
/** A user's attempt that has not succeeded by then asks others where the peer is. */
export const LOCATE_AFTER_MS = 1_000
/** A user's attempt starts over after this pause, then after a longer one: the mesh may be healing just now. */
export const RETRY_PAUSE_MS = 250
export const RETRY_PAUSE_MAX_MS = 1_000
/** Peers being reached at once. */
export const REACHING_MAX = 256
/** Routed requests: hops, bytes, how many wait here for others and for this peer, how long, and how often asked again. */
export const ROUTE_HOPS_MAX = 24
export const ROUTED_PAYLOAD_BYTES_MAX = 12_288
export const ROUTED_PENDING_MAX = 4_096
/** Of them for one neighbour, so that none crowds the others out. */
export const ROUTED_PER_NEIGHBOUR_MAX = 512
/** A hop waits so long, less for each hop before it: then the one before a dead hop is the first to try another way. */
export const ROUTED_HOP_TIMEOUT_MS = 4_000
export const ROUTED_HOP_STEP_MS = 500
export const ROUTED_HOP_TIMEOUT_MIN_MS = 1_000
export const ROUTED_TIMEOUT_MS = 5_000
/** Who asks waits so long before it asks over a second way as well: far more than most answers take. */
export const ROUTED_HEDGE_MS = 1_500
export const ROUTED_WAYS_TRIED_MAX = 3
/** A link that left a routed request without an answer is used after all others for so long, doubling. */
export const DOUBT_MS = 10_000
export const DOUBT_MAX_MS = 600_000
/** Who told a ref with a false signature is no link for so long; how many such are kept in mind. */
export const FORGER_REST_MS = 600_000
export const FORGERS_MAX = 64
/** A peer whose ref is looked for and not known is asked for again so often, after this pause and doubling. */
export const PEER_SEARCH_TRIES_MAX = 4
export const PEER_SEARCH_PAUSE_MS = 250
export const PEER_SEARCHES_MAX = 256
/** Circuits: hops, the greeting that travels in the request, and how long opening may take. */
export const CIRCUIT_HOPS_MAX = 16
export const GREETING_BYTES_MAX = 1_024
export const CIRCUIT_OPEN_TIMEOUT_MS = 3_000
/** A hop waits so much less for each one before it, but at least so long. */
export const CIRCUIT_HOP_TIMEOUT_STEP_MS = 500
export const CIRCUIT_HOP_TIMEOUT_MIN_MS = 1_000
/** First hops that the opener tries before it looks at the rendezvous that the ref names. */
export const FIRST_HOPS_TRIED_MAX = 4
/** After so many of them led to the place of a peer where nobody knows it, it is not looked for there any more. */
export const UNKNOWN_TO_MAX = 2
/** How many neighbours the first hop asks before it refuses; each further one asks one less, the last ones a single one. */
export const CIRCUIT_WAYS_TRIED_MAX = 3
/** A hop over which nothing passed for so long is forgotten: ends that live ping more often. */
export const CIRCUIT_IDLE_MS = 90_000
/** Unacknowledged bytes that an end has under way over a circuit: 20 MB/s at 100 ms. */
export const CIRCUIT_FLIGHT_BYTES_MAX = 2_097_152
/** What a hop keeps of one direction of a circuit; beyond it frames are dropped. */
export const CIRCUIT_QUEUE_BYTES_MAX = 442_368
/** From here on whoever sends is told to hold, and down there to go on: what is under way until then finds place. */
export const CIRCUIT_HOLD_BYTES = 262_144
export const CIRCUIT_GO_BYTES = 65_536
/** From here on of all that came from one neighbour, each of its circuits that keeps more than the lower mark is held. */
export const CIRCUIT_SOURCE_HOLD_BYTES = 2_097_152
/** What all hops of a peer keep: no neighbour's frames take more than what is left for those of others. */
export const CIRCUIT_QUEUES_BYTES_MAX = 33_554_432
/** Sessions of which one wire encrypts the packets itself: two peers have one, and now and then another that takes its place. */
export const SHIELDED_SESSIONS_MAX = 32
/** Bytes that wait for a wire's socket when frames of others begin to queue. Two full reads: what does not fit is copied. */
export const WIRE_RELAY_BYTES_MAX = 524_288
/** The same while frames of others wait to take turns: what waits for the socket has no turns any more. */
export const WIRE_TURNS_BYTES_MAX = 196_608
/** Bytes of others over a wire between two marks among them, at the least, and how many marks may be under way (relay-pace.ts). */
export const RELAY_MARK_BYTES_MIN = 65_536
export const RELAY_MARKS_MAX = 16
/** How many of those bytes may be under way before anything was measured, and beside what the measured connection holds. */
export const RELAY_PACE_BYTES_FIRST = 524_288
export const RELAY_PACE_BYTES_MIN = 131_072
/** How long what is under way may wait beyond the round trip of the empty connection, and how often that is seen again. */
export const RELAY_PACE_SPARE_MS = 100
export const RELAY_PACE_EMPTY_MS = 10_000
/** The fastest of so many measurements counts. */
export const RELAY_PACE_RATES = 8
/** How long a relay with a budget of bytes may save what it did not use. */
export const RELAY_BURST_MS = 50
/** Circuits that a peer forwards in all, and for one neighbour. */
export const CIRCUITS_RELAYED_MAX = 4_096
export const CIRCUITS_PER_NEIGHBOUR_MAX = 512

// ---- registry (spec 6) ----

/** Bytes of a service's name without its major version: a DNS label's bound, enough to be told apart. */
export const SERVICE_NAME_BYTES_MAX = 64
/** One line about a service in a list. */
export const SUMMARY_BYTES_MAX = 200
/** In how many parts the list of all services is kept, so that no peer holds all of it. */
export const DIRECTORY_SHARDS = 16
/** How many peers next to a key are meant to hold its records. */
export const REGION_PEERS = 8
/** The estimate of the network's size errs by up to 1.36 (prototype): records go somewhat further than the eight. */
export const REGION_MARGIN = 1.5
/** A record is dropped only this many regions away, so that a wavering estimate moves nothing. */
export const REGION_DROP_FACTOR = 2
/** How far a record travels along the ring from where it was put, in passings-on. */
export const REPLICATE_HOPS_MAX = 16
/** Clocks of honest peers differ by less. */
export const CLOCK_SKEW_MS = 600_000
/** A member that died unseen is listed no longer than this. */
export const ANNOUNCEMENT_LIFETIME_MS = 600_000
/** Two tries fit into a lifetime. */
export const ANNOUNCEMENT_INTERVAL_MS = 240_000
export const DESCRIPTOR_LIFETIME_MS = 3_600_000
export const DESCRIPTOR_INTERVAL_MS = 1_500_000
/** Where a key is full, those outside its sample announce more rarely the more there are; at least this often. */
export const PUBLICATION_INTERVAL_MS_MAX = 86_400_000
/** A descriptor whose count of members is out of date is published again, at most this often. */
export const DESCRIPTOR_GAP_MS = 15_000
/** After a failed publication: doubling. */
export const PUBLICATION_RETRY_MS = 1_500
export const PUBLICATION_RETRY_MS_MAX = 60_000
/** How often a withdrawal is tried before the record is left to expire. */
export const WITHDRAWAL_TRIES_MAX = 4
/** A peer whose address changes often publishes at most this often. */
export const PUBLICATION_GAP_MS = 5_000
/** Members of one service that one peer lists: a uniform sample of this many estimates the whole within 6 %. */
export const ANNOUNCEMENTS_PER_SERVICE_MAX = 256
/** Who says the same of one service: enough to outvote a few liars. */
export const DESCRIPTORS_PER_SERVICE_MAX = 16
/** Services in one shard of the directory: sixteen shards list 16,384. */
export const SERVICES_PER_SHARD_MAX = 1_024
/** Records held for others: at most about 8 MB. */
export const RECORDS_MAX = 8_192
export const RECORDS_BYTES_MAX = 8_388_608
/** A peer in 32 services: an announcement and a descriptor for each. */
export const RECORDS_PER_PUBLISHER_MAX = 64
/** One record: a ref of full size, the name, the summary, key and signature. */
export const RECORD_BYTES_MAX = 1_536
/** A registry message between neighbours: below what a session carries in one message. */
export const REGISTRY_MESSAGE_BYTES_MAX = 14_336
/** Members in one answer. */
export const FOUND_REFS_MAX = 64
/** Refs of which a search says that it holds them (4 bytes each). */
export const FIND_MARKS_MAX = 128
/** Pages asked of one shard; each is one message of entries. */
export const LIST_PAGES_MAX = 8
/** A search for members that has not heard enough by then asks once more, again and again. */
export const FIND_RETRY_MS = 1_000
/** Over how many ways members are looked for at once, and in all: more of a network's peers may lie than on one way. */
export const FIND_WAYS_MIN = 3
export const FIND_WAYS_MAX = 5
/** How many members the second and third are asked for: enough to see whether the first tells the truth. */
export const FIND_WITNESS_REFS = 8
/** Entries in one digest (14 bytes each): one message. */
export const DIGEST_ENTRIES_MAX = 1_000
/** How often expired records are looked for; reading never shows them. */
export const RECORD_SWEEP_MS = 30_000
/** Changes are saved together after this long. */
export const RECORD_SAVE_MS = 2_000
/** Refs whose signature was checked lately and is not checked again. */
export const VERIFIED_REFS_MAX = 1_024

// ---- service (spec 7) ----

/** Peers of so many links are large, as servers are (256), or middling, as desktops (24); tabs carry 12. */
export const LARGE_CAPACITY = 128
export const MIDDLE_CAPACITY = 24
/** Members that one peer knows of one service. */
export const MEMBERS_MAX = 256
/** Others that a member chooses beside its two ring neighbours: of the largest it knows, and of all. */
export const VIEW_LARGE = 2
export const VIEW_ANY = 1
/** A large member chooses more of its like: they are the middle through which all others are close. */
export const VIEW_LARGE_OF_LARGE = 12
/** Members that may count us into their view. */
export const VIEW_INBOUND_MAX = 12
/** The same for large ones. */
export const VIEW_INBOUND_LARGE = 96
/** Refs of other members in an answer to `view-join`. */
export const VIEW_REFS_MAX = 16
/** For the answer to `view-join`, the session being open. */
export const VIEW_JOIN_TIMEOUT_MS = 5_000
/** After a failed try at a member: doubling, three tries, then a longer pause. */
export const VIEW_RETRY_MS = 1_000
export const VIEW_TRIES_MAX = 3
export const VIEW_PAUSE_MS = 60_000
/** After a large member had no place for us. */
export const VIEW_FULL_PAUSE_MS = 300_000
/** Changes of members within this time are answered by one new choice of the view. */
export const VIEW_SETTLE_MS = 20
/** Silent members that are tried at the same time. */
export const PROBES_MAX = 4
/** Searches for members: after joining, when two that join together have not announced themselves yet. */
export const DISCOVER_FIRST_MS = 1_000
/** After a change; growing by half while nothing changes. */
export const DISCOVER_MS = 5_000
export const DISCOVER_MS_MAX = 60_000
/** While no other member is known. */
export const DISCOVER_ALONE_MS_MAX = 15_000
/** A member that was neither met nor listed for this long is tried, and gone if that fails. */
export const MEMBER_SILENT_MS = 90_000
/** For this long a member that left is not believed back on hearsay: as long as its announcement could linger. */
export const DEPARTED_LAPSE_MS = 600_000
/** For this long the registry's holders may not have heard of a withdrawal. */
export const DEPARTED_LISTED_MS = 30_000
/** How long a member may go unlisted where the registry answers with samples only. */
export const MEMBER_UNSAMPLED_MS = 720_000
/** Up to this many members joining and leaving is told to all at once by broadcast. */
export const TELL_MEMBERS_MAX = 64
/** Any message between members: below what a session carries in one message. */
export const SERVICE_MESSAGE_BYTES_MAX = 14_336
/** A broadcast's payload: with its header it fits one message of a session. */
export const BROADCAST_BYTES_MAX = 12_288
/** Messages remembered as seen: of 14 bytes each, about 1 MB in memory. */
export const SEEN_MESSAGES_MAX = 8_192
export const SEEN_LAPSE_MS = 300_000
/** Origins whose newest forgotten message is remembered, so that it is not delivered again. */
export const ORIGIN_FLOORS_MAX = 1_024
/** Payloads kept for those that missed them. */
export const CACHED_MESSAGE_BYTES_MAX = 1_048_576
export const CACHED_MESSAGE_MS = 30_000
/** A new neighbour is told of messages this much older than its membership: its own word of that was under way. */
export const REPLAY_MARGIN_MS = 1_000
/** Announced ids wait this long to travel together. */
export const IHAVE_DELAY_MS = 100
/** Ids in one `ihave`. */
export const IHAVE_IDS_MAX = 256
/** Ids waiting for one member; older ones are dropped. */
export const IHAVE_QUEUE_MAX = 1_024
/** How long an announced message may take to come by the tree before it is fetched: Plumtree's timer. */
export const MISSING_MS = 500
/** And so much longer for each member between this one and the root, by whom it comes. */
export const MISSING_HOP_MS = 150
/** How long a fetched message may take before the next member that has it is asked. */
export const GRAFT_MS = 800
/** Announced messages that have not come yet, and who has them. */
export const MISSING_MAX = 1_024
export const MISSING_ANNOUNCERS_MAX = 8
/** While messages pass, the root of a service's tree begins a round this often. */
export const TREE_ROUND_MS = 30_000
/** How long a round may be overdue, and once more after the next message, until a root counts as gone. */
export const TREE_SILENT_MS = 5_000
/** The first word of a round waits this long for that of a shorter way. */
export const TREE_SETTLE_MS = 300
/** Before a large member makes itself the root where none is known; three and six times that for smaller ones. */
export const TREE_CLAIM_MS = 400
/** Before a larger member takes the place of the root. */
export const TREE_TAKEOVER_MS = 10_000
/** For so long a neighbour through whom messages came late is taken for one further from the root. */
export const TREE_LATE_MS = 120_000
/** What could not be told, the queue being full, is told after this. */
export const TREE_RETELL_MS = 500
/** Members between the root and the last one. */
export const TREE_DEPTH_MAX = 32
/** The highest term there is: 32 bits. */
export const TREE_TERM_MAX = 0xffffffff
/** Services that one peer is in at a time: with two records each they fit its share at the registry. */
export const SERVICES_JOINED_MAX = 32

invariant(STREAM_WINDOW_BYTES * 4 <= SESSION_WINDOW_BYTES, 'one unread stream does not hold up the others')
invariant(UNACKNOWLEDGED_BYTES_MAX >= STREAM_WINDOW_BYTES * 2, "a stream's window can be filled")
invariant(ACKNOWLEDGE_PACKETS * 2 <= UNACKNOWLEDGED_PACKETS_MAX, 'an acknowledgement comes before the sender is stuck')
invariant(ACKNOWLEDGE_BYTES * 2 <= UNACKNOWLEDGED_BYTES_MAX, 'an acknowledgement comes before the sender is stuck')
invariant(MESSAGE_BYTES_MAX + 16 <= PACKET_PLAINTEXT_BYTES_MAX, 'a message fits into one packet')
invariant(STREAM_QUEUE_LOW_BYTES < STREAM_QUEUE_HIGH_BYTES, 'a writer that waits is asked on')
invariant(FRAME_BYTES_MAX < 2 ** 24, 'the first byte of a frame on a shared port is zero')
invariant(ANNOUNCEMENT_INTERVAL_MS * 2 < ANNOUNCEMENT_LIFETIME_MS, 'an announcement is renewed twice before it expires')
invariant(DESCRIPTOR_INTERVAL_MS * 2 < DESCRIPTOR_LIFETIME_MS, 'a descriptor is renewed twice before it expires')
invariant(REGISTRY_MESSAGE_BYTES_MAX <= MESSAGE_BYTES_MAX, 'a registry message fits')
invariant(ROUTED_PAYLOAD_BYTES_MAX + 512 <= MESSAGE_BYTES_MAX, 'a routed answer fits a message with its routing')
invariant(SERVICE_MESSAGE_BYTES_MAX <= MESSAGE_BYTES_MAX, 'a message between members fits')
invariant(RECORD_BYTES_MAX < REGISTRY_MESSAGE_BYTES_MAX, 'a record fits a message')
invariant(SERVICES_JOINED_MAX * 2 <= RECORDS_PER_PUBLISHER_MAX, 'a peer may publish all that it joins')
invariant(BROADCAST_BYTES_MAX + 256 <= SERVICE_MESSAGE_BYTES_MAX, 'a broadcast and its header fit a message')
invariant(CACHED_MESSAGE_MS < SEEN_LAPSE_MS, 'a message that can be asked for is still known as seen')
invariant(CIRCUIT_HOLD_BYTES + WINDOW_BYTES_MIN < CIRCUIT_QUEUE_BYTES_MAX, 'what is under way at a hold finds place')
invariant(CIRCUIT_GO_BYTES < CIRCUIT_HOLD_BYTES, 'a circuit that may go on is not held at once')
invariant(
  CIRCUIT_QUEUE_BYTES_MAX + WIRE_RELAY_BYTES_MAX + FRAME_BYTES_MAX < 1_048_576,
  'a circuit whose receiver stopped costs a relay less than 1 MiB',
)
invariant(
  WIRE_TURNS_BYTES_MAX + FRAME_BYTES_MAX < WIRE_RELAY_BYTES_MAX,
  "where a relay's own sessions have filled what they may, frames of others pass",
)
invariant(ACKNOWLEDGE_BYTES_UNRELIABLE <= WINDOW_BYTES_FIRST, 'the first that is under way is acknowledged at once')
invariant(
  CIRCUIT_SILENT_MS + SILENCE_STEP_MS + CIRCUIT_PING_TIMEOUT_MS < SESSION_LINGER_MS,
  'a session that one side needs stays open at the other',
)
invariant(AWAY_MS >= SESSION_LINGER_MS, 'nobody else keeps a session that begins anew')
invariant(
  AWAY_MS >= CIRCUIT_SILENT_MS + CIRCUIT_PING_TIMEOUT_MS + PATHLESS_MS,
  'nobody else keeps a session that begins anew',
)
invariant(
  CIRCUIT_SILENT_MS + SILENCE_STEP_MS + CIRCUIT_PING_TIMEOUT_MS < CIRCUIT_IDLE_MS,
  'a circuit in use is not forgotten',
)
invariant(WAY_IN_TOLD_LINKS > WAY_IN_KEPT_LINKS, 'a newcomer sees that its way in is crowded')
invariant(REMEMBERED_LOST_MAX + REMEMBERED_NEAR_MAX < REMEMBERED_MAX, 'room for random peers in the memory')
invariant(PATH_DESCRIPTION_BYTES_MAX + 16 <= MESSAGE_BYTES_MAX, 'a path offer fits a message')
invariant(DIAL_TIMEOUT_MS < NEGOTIATION_STAGGER_MS, 'a dial is over before a wire is negotiated instead')
invariant(PACKETS_PER_KEY > 4 * UNACKNOWLEDGED_PACKETS_MAX, 'no packet on its way is two keys behind')
