// What the edges need of an Exchange.
import type { Exchange } from '../api/exchange.ts';

export type ExchangePort = Pick<
  Exchange,
  | 'execute'
  | 'onEvents'
  | 'book'
  | 'orders'
  | 'order'
  | 'account'
  | 'balances'
  | 'accounts'
  | 'instruments'
  | 'assets'
  | 'stateHash'
  | 'explain'
  | 'stats'
  | 'gatewayStats'
  | 'snapshot'
  | 'price'
  | 'quantity'
>;
