// What a user of the bus passes and gets.
import type { VerbexError } from '../errors/errors.ts';

/** The ways between two processes. */
export type Transport = 'shm' | 'tcp' | 'verbs';

export interface BusOptions {
  /** How peers name this side in their logs and lists: 1 to 64 printable characters. Default: `verbex-` and the process id. */
  readonly name?: string;
  /** Default 'auto': the best that both ends have. Named: that or none. */
  readonly transport?: Transport | 'auto';
  /** 16 to 1024 secret bytes that all peers share, or the path of a file with them. Without one nobody is authenticated. */
  readonly key?: Uint8Array | string;
  /** With a key: every frame on tcp and verbs is sealed with it. Default true. */
  readonly mac?: boolean;
  /** TLS 1.3 with certificates on both sides, for set-up and tcp. Paths of PEM files. */
  readonly tls?: {
    readonly certificate: string;
    readonly key: string;
    readonly authority: string;
    /** The name that the listener's certificate must have; left out: whoever the authority signed. */
    readonly serverName?: string;
  };
  /** Which adapter; left out: chosen as docs/bus.md says. */
  readonly verbs?: { readonly device?: string; readonly port?: number; readonly gidIndex?: number };
  /** Each link's ring, a power of two from 4,096; the smaller of both ends counts. Default 1 MiB. */
  readonly ringBytes?: number;
  /** The longest message, at most a quarter of the ring. Default 65,536. */
  readonly payloadMax?: number;
  /** Of links from now on; a later one fences earlier ones. Default 1. */
  readonly epoch?: number;
  /** Default 20. */
  readonly heartbeatMs?: number;
  /** A peer that is silent for so long is given up; at least three heartbeats. Default 200. */
  readonly livenessMs?: number;
  /** Between attempts to reach a peer; doubled up to twenty times as long. Default 50. */
  readonly reconnectMs?: number;
  /** A set-up may take so long. Default 2,000. */
  readonly setUpMs?: number;
  /** The agent's thread never sleeps: microseconds less, one core more. Default false. */
  readonly spin?: boolean;
  /** Shows its counters to `verbex top`, in a file of /dev/shm. Default true. */
  readonly counters?: boolean;
}

export interface ConnectOptions {
  /** connect() gives up after so long without a link. Default 5,000. */
  readonly withinMs?: number;
}

export interface CloseOptions {
  /** What was accepted is sent and consumed within that time, or dropped with the links. Default 5,000. */
  readonly withinMs?: number;
}

export interface PublishOptions {
  /** What is kept for subscribers, a power of two; half of it is their window. Default 4 MiB. */
  readonly historyBytes?: number;
  /** The longest message, at most an eighth of the history and a quarter of the buffer. Default: the bus's. */
  readonly payloadMax?: number;
  /** Between JavaScript and the agent's thread, a power of two. Default 1 MiB. */
  readonly bufferBytes?: number;
  /** The first message's position. Default 1n. */
  readonly first?: bigint;
  /** Accept messages while nobody subscribes, and keep them as far as the history reaches. Default false. */
  readonly retain?: boolean;
}

export interface SubscribeOptions {
  /** A position; 'next' (default): what is published from now on; 'oldest': all that the publisher still has. */
  readonly from?: bigint | 'next' | 'oldest';
  /** Whose stream: a peer's id or name. May be left out where there is one peer only. */
  readonly peer?: number | string;
  /** Between the agent's thread and JavaScript, a power of two. Default 1 MiB. */
  readonly bufferBytes?: number;
  /** Go on by itself after a lost link. Default true. */
  readonly resume?: boolean;
  /** Wait for a stream that the peer does not publish yet; otherwise that is UNKNOWN_STREAM. Default true. */
  readonly wait?: boolean;
}

export interface BusMessage {
  /** 1n, 2n, 3n … of this stream: without gap, without repetition. */
  readonly position: bigint;
  /** A copy; messages that came together may share one ArrayBuffer. */
  readonly data: Uint8Array;
}

/** Codes that `offer` answers below zero, after Aeron's. A position is above zero. */
export const Offer = {
  /** Nobody subscribes, and the publication does not retain. */
  NOT_CONNECTED: -1n,
  /** The buffers are full up to the fastest subscriber: offer again later, or `send`. */
  BACK_PRESSURED: -2n,
  CLOSED: -4n,
  /** 2^62 messages. */
  MAX_POSITION_EXCEEDED: -5n,
  /** Longer than payloadMax. */
  TOO_LARGE: -6n,
} as const;

/** The message's position, or one of `Offer`. */
export type Offered = bigint;

export interface Peer {
  readonly id: number;
  readonly name: string;
  /** It connected to us. */
  readonly inbound: boolean;
  readonly connected: boolean;
  readonly transport: Transport | 'memory';
  /** Why this transport and no better one. */
  readonly why: string;
  readonly epoch: number;
  /** Of the last heartbeat that was answered; 0: none yet. */
  readonly roundTripNs: number;
  /** Of the last attempt or link. */
  readonly error?: VerbexError;
}

export type BusEvent =
  | { readonly type: 'peer-connected'; readonly peer: Peer }
  | { readonly type: 'peer-lost'; readonly peer: Peer }
  | {
      readonly type: 'subscriber-joined';
      readonly stream: string;
      readonly peer: Peer;
      readonly from: bigint;
    }
  | {
      readonly type: 'subscriber-cut-off';
      readonly stream: string;
      readonly peer: Peer;
      readonly resumeFrom: bigint;
    };

export type SubscriptionState = 'connecting' | 'live' | 'cut-off' | 'refused' | 'ended' | 'closed';

/** Since the bus was opened, but for `halfOpen` and `links`, which are as of now. */
export interface BusCounters {
  readonly published: number;
  readonly publishedBytes: number;
  readonly delivered: number;
  readonly deliveredBytes: number;
  readonly backPressured: number;
  readonly notConnected: number;
  readonly cutOff: number;
  readonly gaps: number;
  readonly duplicates: number;
  readonly resumed: number;
  readonly peersLost: number;
  /** Of them: given up because they were silent. */
  readonly silent: number;
  readonly malformed: number;
  readonly accepted: number;
  readonly established: number;
  readonly refused: number;
  readonly wrongKey: number;
  readonly staleEpoch: number;
  readonly malformedSetUps: number;
  readonly timedOut: number;
  readonly tooMany: number;
  readonly halfOpen: number;
  readonly links: number;
  /** Times that the agent's thread has slept. */
  readonly sleeps: number;
  /** Events that no listener could be told in time. */
  readonly eventsDropped: number;
}
