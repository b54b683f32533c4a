// The three lines to paste: place an order, cancel it, show the book.
import { visitorToken } from '../demo/market.ts';

export interface PasteLine {
  readonly what: string;
  readonly line: string;
}

export interface PasteLinesOptions {
  readonly host: string;
  readonly port: number;
  /** New at every start, since an id counts once. */
  readonly id: string;
  /** A bid that rests: below the market, inside the band. */
  readonly price: string;
}

export function pasteLines({ host, port, id, price }: PasteLinesOptions): PasteLine[] {
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${port}/v1`;
  const token = `-H 'authorization: Bearer ${visitorToken}'`;
  const order = `{"instrument":"BTC-USD","id":"${id}","side":"buy","price":"${price}","quantity":"0.01"}`;
  return [
    { what: 'place an order', line: `curl -s ${base}/orders ${token} -d '${order}'` },
    { what: 'cancel it', line: `curl -s -X DELETE ${base}/orders/${id} ${token}` },
    { what: 'show the book', line: `curl -s '${base}/book/BTC-USD?levels=5'` },
  ];
}

/** Five per cent below what is paid, in whole hundreds: nobody sells there, and the band is far away. */
export function restingPrice(market: string | null | undefined): string {
  const price = Number(market ?? '65000');
  return String(Math.max(100, Math.floor((price * 0.95) / 100) * 100));
}
