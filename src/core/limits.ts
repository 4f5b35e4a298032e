/**
 * Every bound and interval of the core, with its reason, by layer. What a stranger can grow has its ceiling here.
 * Relations between them are asserted at the end.
 */
import { invariant } from './base/invariant.ts'

// ---- wire (spec 3) ----

/** A packet's plaintext: above 64 KiB nothing is gained, below it the cost per packet shows. */
export const PACKET_PLAINTEXT_BYTES_MAX = 65_536
/** A frame's body: a full packet, its number and tag, and the headers of nested circuits. */
export const FRAME_BYTES_MAX = PACKET_PLAINTEXT_BYTES_MAX + 512
/** What may wait in the process for one wire's socket before sessions hold back. */
export const WIRE_QUEUE_BYTES_MAX = 1_048_576

// ---- session (spec 4) ----

// ---- overlay (spec 5) ----

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
/** A registry message, a routed answer too: below the 16 KiB that a session carries in one message. */
export const REGISTRY_MESSAGE_BYTES_MAX = 14_336
/** Members in one answer. */
export const FOUND_REFS_MAX = 64
/** Pages asked of one shard; each is one message of entries. */
export const LIST_PAGES_MAX = 8
/** Between the first try of a search and its second, which aims beside the first. */
export const FIND_RETRY_MS = 1_000
/** Entries in one digest (14 bytes each): one message. */
export const DIGEST_ENTRIES_MAX = 1_000
/** How often expired records are looked for; reading never shows them. */
export const RECORD_SWEEP_MS = 30_000
/** Changes are saved together after this long. */
export const RECORD_SAVE_MS = 2_000
/** Refs whose signature was checked lately and is not checked again. */
export const VERIFIED_REFS_MAX = 1_024

// ---- service (spec 7) ----

/** Members that one peer knows of one service. */
export const MEMBERS_MAX = 256
/** Other members chosen at random, beside the two ring neighbours: with those who choose us about eight in all. */
export const VIEW_RANDOM = 3
/** Members that may count us into their view. */
export const VIEW_INBOUND_MAX = 12
/** Refs of other members in an answer to `view-join`. */
export const VIEW_REFS_MAX = 16
/** For the answer to `view-join`, the session being open. */
export const VIEW_JOIN_TIMEOUT_MS = 5_000
/** After a failed try at a member: doubling, three tries, then a longer pause. */
export const VIEW_RETRY_MS = 1_000
export const VIEW_TRIES_MAX = 3
export const VIEW_PAUSE_MS = 60_000
/** Searches for members: the first interval, growing while nothing changes. */
export const DISCOVER_MS = 5_000
export const DISCOVER_MS_MAX = 60_000
/** While no other member is known. */
export const DISCOVER_ALONE_MS_MAX = 15_000
/** A member that was neither met nor listed for this long is tried, and gone if that fails. */
export const MEMBER_SILENT_MS = 90_000
/** For this long a member that left is not believed back on hearsay: as long as its announcement could linger. */
export const DEPARTED_LAPSE_MS = 600_000
/** Up to this many members joining and leaving is told to all at once by broadcast. */
export const TELL_MEMBERS_MAX = 64
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
/** Announced ids wait this long to travel together. */
export const IHAVE_DELAY_MS = 100
/** Ids in one `ihave`. */
export const IHAVE_IDS_MAX = 256
/** Ids waiting for one member; older ones are dropped. */
export const IHAVE_QUEUE_MAX = 1_024
/** How long an announced message may take to come by the tree before it is fetched: Plumtree's timer. */
export const MISSING_MS = 500
/** How long a fetched message may take before the next member that has it is asked. */
export const GRAFT_MS = 800
/** Announced messages that have not come yet, and who has them. */
export const MISSING_MAX = 1_024
export const MISSING_ANNOUNCERS_MAX = 8
/** Services that one peer is in at a time: with two records each they fit its share at the registry. */
export const SERVICES_JOINED_MAX = 32

invariant(FRAME_BYTES_MAX < 2 ** 24, 'the first byte of a frame on a shared port is zero')
invariant(ANNOUNCEMENT_INTERVAL_MS * 2 < ANNOUNCEMENT_LIFETIME_MS, 'an announcement is renewed twice before it expires')
invariant(DESCRIPTOR_INTERVAL_MS * 2 < DESCRIPTOR_LIFETIME_MS, 'a descriptor is renewed twice before it expires')
invariant(RECORD_BYTES_MAX < REGISTRY_MESSAGE_BYTES_MAX, 'a record fits a message')
invariant(SERVICES_JOINED_MAX * 2 <= RECORDS_PER_PUBLISHER_MAX, 'a peer may publish all that it joins')
invariant(CACHED_MESSAGE_MS < SEEN_LAPSE_MS, 'a message that can be asked for is still known as seen')
