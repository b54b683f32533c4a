// Events as their owner may see them. A command's events name other people's orders and accounts: none of that may leave.
import type { Event } from '../api/types.ts';
import { Scale } from '../decimal/scale.ts';

export type OwnEvent = Readonly<Record<string, unknown>> & {
  readonly event: string;
  readonly position: bigint;
};

/** The accounts that an event concerns. */
export function ownersOf(event: Event): string[] {
  if (event.event === 'trade') {
    return event.takerAccount === event.makerAccount
      ? [event.takerAccount]
      : [event.takerAccount, event.makerAccount];
  }
  return 'account' in event && event.account !== undefined ? [event.account] : [];
}

type Trade = Extract<Event, { event: 'trade' }>;

function ownTrade(event: Trade, role: 'maker' | 'taker'): OwnEvent {
  const { position, instrument, tradeId, price, quantity } = event;
  const side = role === 'taker' ? event.side : event.side === 'buy' ? 'sell' : 'buy';
  const own =
    role === 'taker'
      ? { id: event.taker, orderId: event.takerOrderId, left: event.takerLeft, fee: event.takerFee }
      : { id: event.maker, orderId: event.makerOrderId, left: event.makerLeft, fee: event.makerFee };
  return { event: 'trade', position, instrument, tradeId, role, side, price, quantity, ...own };
}

/** What `account` may see of an event: nothing, the event, or its side (or both sides) of a trade. */
export function ownEvents(event: Event, account: string): OwnEvent[] {
  if (event.event === 'trade') {
    const sides: OwnEvent[] = [];
    if (event.takerAccount === account) sides.push(ownTrade(event, 'taker'));
    if (event.makerAccount === account) sides.push(ownTrade(event, 'maker'));
    return sides;
  }
  if (!('account' in event) || event.account !== account) return [];
  const { last: _, ...shown } = event;
  return [shown];
}

export interface OrderOutcome {
  readonly position: bigint;
  readonly id: string;
  readonly orderId?: bigint;
  /** unchanged: the first answer again, nothing was done. */
  readonly status: 'open' | 'waiting' | 'filled' | 'cancelled' | 'unchanged';
  /** What is open, and what this command has filled; not known where nothing was done. */
  readonly open?: string;
  readonly filled?: string;
  readonly events: readonly OwnEvent[];
}

const fine = Scale.ofDecimals(18);

function sum(left: string, right: string): string {
  return fine.toText(BigInt(fine.toUnits(left, 'quantity')) + BigInt(fine.toUnits(right, 'quantity')));
}

/** What became of the order that a command was about, from that command's events. */
export function outcomeOf(events: readonly Event[], account: string, id: string): OrderOutcome {
  const own = events.flatMap((event) => ownEvents(event, account));
  let [name, status, open, filled] = [id, 'unchanged' as OrderOutcome['status'], '0', '0'];
  let orderId: bigint | undefined;
  for (const event of events) {
    if ('duplicate' in event && event.duplicate) {
      if ('orderId' in event) orderId = event.orderId;
      continue;
    }
    if (event.event === 'trade') {
      // As a maker too: a stop that the order has triggered may meet what is left of it.
      if (event.takerOrderId === orderId) open = event.takerLeft;
      else if (event.makerOrderId === orderId) open = event.makerLeft;
      else continue;
      filled = sum(filled, event.quantity);
      if (open === '0') status = 'filled';
      continue;
    }
    if (!('account' in event) || event.account !== account || !('orderId' in event)) continue;
    if (orderId === undefined) orderId = event.orderId;
    else if (event.orderId !== orderId) continue;
    if (event.event === 'accepted') {
      status = event.stop ? 'waiting' : 'open';
      open = event.quantity;
    } else if (event.event === 'replaced') {
      name = event.newId;
      status = event.stop ? 'waiting' : 'open';
      open = event.open;
    } else if (event.event === 'cancelled') {
      status = 'cancelled';
      open = '0';
    } else if (event.event === 'triggered' || event.event === 'booked' || event.event === 'reduced') {
      status = event.open === '0' ? status : 'open';
      open = event.open;
    }
  }
  const position = events[0]?.position ?? 0n;
  const about = { position, id: name, ...(orderId !== undefined && { orderId }), status };
  return status === 'unchanged' ? { ...about, events: own } : { ...about, open, filled, events: own };
}
