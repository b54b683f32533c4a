// The native gateways, as a user of the package asks for them: ports, users, protection.
import { flag, integer, invalidOption } from '../errors/checks.ts';
import type { NativeGatewayOptions } from '../native/types.ts';

export type { GatewayAddresses, GatewayStats, SessionStats } from '../native/types.ts';

/** Who may log in. The same name and password count on every port. */
export interface GatewayUser {
  /** 1 to 6 printable characters; case does not count. */
  name: string;
  /** 1 to 10 printable characters. */
  password: string;
  /** 1 to 32,767: its session number, for ever. Streams and order ids carry it. */
  session: number;
  /** The account that it speaks for; may be added later. */
  account: string;
  /** trade: orders; clear: own money, positions, drop copy; administer: also deposits, withdrawals, limits, rights below it; feed: market data. Default trade, clear, feed. */
  rights?: readonly ('trade' | 'clear' | 'administer' | 'feed')[];
  /** Its open orders are cancelled when its connection ends. Default false. */
  cancelOnDisconnect?: boolean;
  /** Orders a second, and at once; above it they are rejected. Default: no throttle. */
  ordersPerSecond?: number;
  ordersBurst?: number;
}

/** A throttle over all sessions of a firm. */
export interface FirmThrottle {
  firm: string;
  ordersPerSecond: number;
  ordersBurst?: number;
}

/** Addresses are "host:port"; port 0: any free one. What is left out is not opened. */
export interface GatewayOptions {
  /** OUCH 5.0 over SoupBinTCP. */
  orders?: string;
  /** The clearing protocol over SoupBinTCP (docs/clearing-protocol.md). */
  clearing?: string;
  feed?: {
    /** ITCH 5.0 over SoupBinTCP, by sequence number. */
    stream?: string;
    /** A snapshot of the open book, as GLIMPSE gives it, over SoupBinTCP. */
    snapshot?: string;
    /** ITCH 5.0 over MoldUDP64: groups and single hosts. */
    datagrams?: readonly string[];
    /** MoldUDP64 requests for what was lost. */
    retransmission?: string;
    /** Address of the interface that multicast leaves by. */
    multicastInterface?: string;
    /** Default 1: it stays on the network. */
    multicastHops?: number;
    /** Largest datagram, 200 to 65,000. Default 1,400. */
    datagramBytes?: number;
    /** Messages kept for retransmission and the stream. Default 1 GiB. */
    historyBytes?: number;
  };
  users: readonly GatewayUser[];
  firms?: readonly FirmThrottle[];
  /** Of each port. Default 4,096. */
  connectionsMax?: number;
  /** Bytes that a client may lag behind before it is cut off; it resumes by sequence number. Default 8 MiB. */
  lagBytesMax?: number;
  /** Milliseconds. Default 5,000, 15,000, 30,000. */
  loginTimeoutMs?: number;
  silenceMs?: number;
  stalledMs?: number;
  /** Open orders of all sessions. Default 1,048,576. */
  ordersMax?: number;
  /** Microseconds that the gateways' thread looks for work before it sleeps, 0 to 10,000,000, or Infinity. Default 10. */
  spin?: number;
}

const letters = { trade: 't', clear: 'c', administer: 'a', feed: 'f' } as const;
const rightsDefault = ['trade', 'clear', 'feed'] as const;
const sessionMax = 32_767;
const rateMax = 1_000_000_000;
const spinMax = 10_000_000;
const spinDefault = 10;

/** Throws INVALID_OPTION. */
export function nativeGatewayOptions(options: GatewayOptions): NativeGatewayOptions {
  const { feed = {} } = options;
  const { spin = spinDefault } = options;
  if (spin !== Number.POSITIVE_INFINITY) integer('gateways.spin', spin, 0, spinMax);
  return {
    orders: address('orders', options.orders),
    clearing: address('clearing', options.clearing),
    stream: address('feed.stream', feed.stream),
    snapshot: address('feed.snapshot', feed.snapshot),
    retransmission: address('feed.retransmission', feed.retransmission),
    datagrams: (feed.datagrams ?? []).map((text) => address('feed.datagrams', text)).join(','),
    multicastInterface: feed.multicastInterface ?? '',
    users: usersText(options.users),
    firms: (options.firms ?? []).map(firmLine).join('\n'),
    spin: spin === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : spin * 1000,
    ...given({ ...options, ...feed }, [
      ['multicastHops', 0, 255],
      ['datagramBytes', 200, 65_000],
      ['historyBytes', 1 << 20, Number.MAX_SAFE_INTEGER],
      ['connectionsMax', 1, 65_536],
      ['lagBytesMax', 4_096, Number.MAX_SAFE_INTEGER],
      ['loginTimeoutMs', 1, 3_600_000],
      ['silenceMs', 1, 3_600_000],
      ['stalledMs', 1, 3_600_000],
      ['ordersMax', 1, 1 << 26],
    ]),
  };
}

function address(field: string, text: string | undefined): string {
  if (text === undefined) return '';
  const port = Number(/:(\d{1,5})$/.exec(text)?.[1] ?? Number.NaN);
  if (!(port <= 65_535)) throw invalidOption(`gateways.${field}`, text, 'an address, "host:port"');
  return text;
}

function given(
  from: Readonly<Record<string, unknown>>,
  fields: readonly (readonly [name: string, least: number, most: number])[],
): Record<string, number> {
  const result: Record<string, number> = {};
  for (const [name, least, most] of fields) {
    const value = from[name];
    if (value !== undefined) result[name] = integer(`gateways.${name}`, value as number, least, most);
  }
  return result;
}

function usersText(users: readonly GatewayUser[]): string {
  if (!Array.isArray(users)) throw invalidOption('gateways.users', users, 'a list of users');
  return users.map(userLine).join('\n');
}

function printable(field: string, text: string, most: number): string {
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text) || text.length > most)
    throw invalidOption(field, text, `1 to ${most} printable ASCII characters`);
  return text;
}

function userLine(user: GatewayUser, index: number): string {
  const at = `gateways.users[${index}]`;
  if (typeof user !== 'object' || user === null) throw invalidOption(at, user, 'a user');
  const { ordersPerSecond = 0, cancelOnDisconnect = false } = user;
  const rights: NonNullable<GatewayUser['rights']> = user.rights ?? rightsDefault;
  if (!Array.isArray(rights)) throw invalidOption(`${at}.rights`, rights, 'a list of rights');
  const unknown = rights.find((right) => !Object.hasOwn(letters, right));
  if (unknown !== undefined) throw invalidOption(`${at}.rights`, unknown, Object.keys(letters).join(' or '));
  const rate = integer(`${at}.ordersPerSecond`, ordersPerSecond, 0, rateMax);
  return [
    printable(`${at}.name`, user.name, 6),
    // A password is never shown.
    typeof user.password === 'string' && /^[\x21-\x7e]{1,10}$/.test(user.password)
      ? user.password
      : printable(`${at}.password`, '', 10),
    integer(`${at}.session`, user.session, 1, sessionMax),
    printable(`${at}.account`, user.account, 16),
    rights.map((right: keyof typeof letters) => letters[right]).join('') +
      (flag(`${at}.cancelOnDisconnect`, cancelOnDisconnect) ? 'd' : ''),
    rate,
    integer(`${at}.ordersBurst`, user.ordersBurst ?? Math.max(1, rate), 1, rateMax),
  ].join('\t');
}

function firmLine(firm: FirmThrottle, index: number): string {
  const at = `gateways.firms[${index}]`;
  if (typeof firm !== 'object' || firm === null) throw invalidOption(at, firm, 'a throttle of a firm');
  const rate = integer(`${at}.ordersPerSecond`, firm.ordersPerSecond, 1, rateMax);
  return [
    printable(`${at}.firm`, firm.firm, 16),
    rate,
    integer(`${at}.ordersBurst`, firm.ordersBurst ?? rate, 1, rateMax),
  ].join('\t');
}
