// The gateways of `verbex run`: which ports, whose users, and what a person is told of them.
import { readFileSync } from 'node:fs';
import type { Exchange } from '../api/exchange.ts';
import type { GatewayOptions, GatewayUser } from '../api/gateways.ts';
import { visitorAccount } from '../demo/market.ts';
import { isLoopback } from '../edges/access.ts';
import { invalidOption } from '../errors/checks.ts';

export interface GatewayPorts {
  readonly orders: number;
  readonly clearing: number;
  readonly stream: number;
  readonly snapshot: number;
  readonly retransmission: number;
  /** "group:port" or "host:port", with commas between them; "": no datagrams. */
  readonly datagrams: string;
  /** A file of users; undefined: the demo's user, where there is a demo. */
  readonly users?: string;
}

/** Who may try the demo by hand. */
export const demoUser: GatewayUser = {
  name: 'DEMO',
  password: 'demo',
  session: 1,
  account: visitorAccount,
  rights: ['trade', 'clear', 'administer', 'feed'],
};

/**
 * What `verbex run` opens; undefined where nobody could log in. The demo's user, whose password everybody knows, counts on loopback only, as
 * its token does. Throws INVALID_OPTION.
 */
export function gatewaysOf(ports: GatewayPorts, host: string, demo: boolean): GatewayOptions | undefined {
  const loopback = isLoopback(host);
  if (ports.users === undefined && !(demo && loopback)) return undefined;
  const who = ports.users === undefined ? { users: [demoUser] } : readUsers(ports.users);
  const shown = host.includes(':') ? `[${host}]` : host;
  const at = (port: number): string => `${shown}:${port}`;
  return {
    orders: at(ports.orders),
    clearing: at(ports.clearing),
    feed: {
      stream: at(ports.stream),
      snapshot: at(ports.snapshot),
      retransmission: at(ports.retransmission),
      datagrams: ports.datagrams.split(',').filter((text) => text !== ''),
      ...(loopback && { multicastInterface: '127.0.0.1' }),
    },
    ...who,
  };
}

const fileFields = ['users', 'firms'];
const userFields = [
  'name',
  'password',
  'session',
  'account',
  'rights',
  'cancelOnDisconnect',
  'ordersPerSecond',
  'ordersBurst',
];
const firmFields = ['firm', 'ordersPerSecond', 'ordersBurst'];

/** A JSON file: a list of users, or { "users": […], "firms": […] }. What a field holds is checked where it is used. */
function readUsers(path: string): Pick<GatewayOptions, 'users' | 'firms'> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw invalidOption('gateway-users', path, `a file of JSON (${(error as Error).message})`);
  }
  const file = Array.isArray(parsed) ? { users: parsed } : parsed;
  const { users, firms = [] } = known('the file', file, fileFields) as { users?: unknown; firms?: unknown };
  if (!Array.isArray(users) || users.length === 0)
    throw invalidOption('gateway-users', path, 'a file with a list of users');
  if (!Array.isArray(firms)) throw invalidOption('gateway-users', path, 'firms to be a list');
  for (const [index, user] of users.entries()) known(`users[${index}]`, user, userFields);
  for (const [index, firm] of firms.entries()) known(`firms[${index}]`, firm, firmFields);
  return { users, firms };
}

/** A word that is misspelled is not left out in silence. */
function known(at: string, value: unknown, fields: readonly string[]): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption(`gateway-users: ${at}`, value, 'an object');
  for (const field of Object.keys(value)) {
    if (!fields.includes(field)) throw invalidOption(`gateway-users: ${at}`, field, fields.join(', '));
  }
  return value;
}

/** Lines for a person: where, and as whom. */
export function gatewayLines(exchange: Exchange, demo: boolean): string[] {
  const addresses = exchange.gatewayAddresses;
  if (addresses === undefined) return [];
  const lines: string[] = [];
  const line = (name: string, address: string | undefined, what: string): void => {
    if (address !== undefined) lines.push(`  ${name.padEnd(8)}${address}  ${what}`);
  };
  line('ouch', addresses.orders, 'OUCH 5.0 over SoupBinTCP');
  line('clear', addresses.clearing, 'money, positions, limits, drop copy over SoupBinTCP');
  line('itch', addresses.stream, 'ITCH 5.0 over SoupBinTCP');
  line('book', addresses.snapshot, 'a snapshot of the book, as GLIMPSE gives it');
  const [group] = addresses.datagrams;
  line(
    'mold',
    group,
    `ITCH 5.0 over MoldUDP64, session ${addresses.feedSession}, requests to ${addresses.retransmission}`,
  );
  if (demo)
    lines.push(`          user ${demoUser.name}, password ${demoUser.password}, account ${demoUser.account}`);
  return lines;
}
