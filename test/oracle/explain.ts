// The whole state as one line of JSON. Rules, section 11.
//
// Built by hand: JSON.stringify knows no bigint. The parts of instruments and accounts are kept in their
// `text` until something in them changes, because this runs after every command.

import type { Model } from './model.ts';
import type { Account, Asset, Instrument, Order } from './state.ts';

export function explain(model: Model): string {
  const assets = model.assets.map(explainAsset);
  const instruments = model.instruments.map((instrument) => {
    instrument.text ??= explainInstrument(instrument);
    return instrument.text;
  });
  const accounts = model.accounts.map((account) => {
    account.text ??= explainAccount(account);
    return account.text;
  });
  return (
    `{"position":${model.position},"time":${model.time},"assets":[${assets.join()}],` +
    `"instruments":[${instruments.join()}],"accounts":[${accounts.join()}]}`
  );
}

function explainAsset(asset: Asset): string {
  return (
    `{"id":${asset.id},"name":${JSON.stringify(asset.name)},"decimals":${asset.decimals},` +
    `"issued":"${asset.issued.toFixed(0)}","fees":"${asset.fees.toFixed(0)}"}`
  );
}

function explainInstrument(i: Instrument): string {
  return (
    `{"id":${i.id},"name":${JSON.stringify(i.name)},"base":${i.base},"quote":${i.quote},` +
    `"lotBase":${i.lotBase},"lotQuote":${i.lotQuote},"priceMin":${i.priceMin},"priceMax":${i.priceMax},` +
    `"quantityMin":${i.quantityMin},"quantityMax":${i.quantityMax},` +
    `"makerFee":${i.schedule.makerFee},"takerFee":${i.schedule.takerFee},"collar":${i.collar},` +
    `"state":${i.state},"lastPrice":${i.lastPrice},"trades":${i.trades},` +
    `"bids":${levels(i.bids, (o) => o.price)},"asks":${levels(i.asks, (o) => o.price)},` +
    `"buyStops":${levels(i.buyStops, (o) => o.stopPrice)},` +
    `"sellStops":${levels(i.sellStops, (o) => o.stopPrice)}}`
  );
}

// Sorted orders, grouped by price.
function levels(orders: readonly Order[], priceOf: (order: Order) => bigint): string {
  const parts: string[] = [];
  let queue: string[] = [];
  orders.forEach((order, i) => {
    const visible = order.waiting ? 0n : order.visible;
    queue.push(`[${order.orderId},${order.account.id},${order.open},${visible}]`);
    const next = orders[i + 1];
    if (next === undefined || priceOf(next) !== priceOf(order)) {
      parts.push(`[${priceOf(order)},[${queue.join()}]]`);
      queue = [];
    }
  });
  return `[${parts.join()}]`;
}

function explainAccount(a: Account): string {
  const rights = [...a.instrumentRights].sort(byKey).map(([instrument, right]) => `[${instrument},${right}]`);
  const limits = [...a.limits]
    .sort((x, y) => x.kind - y.kind || x.subject - y.subject)
    .map((l) => `[${l.kind},${l.subject},"${l.amount}"]`);
  const balances = [...a.totals]
    .sort(byKey)
    .map(([asset, total]) => `[${asset},"${total.toFixed(0)}","${a.held(asset).toFixed(0)}"]`);
  const exposures = [...a.positions].sort(byKey).map(([id, position]) => {
    let buy = 0n;
    let sell = 0n;
    for (const order of a.orders) {
      if (order.instrument.id !== id) continue;
      if (order.side === 1) buy += order.open;
      else sell += order.open;
    }
    return `[${id},${position},${buy},${sell}]`;
  });
  const orders = a.orders.map(
    (o) =>
      `[${o.orderId},${JSON.stringify(o.id)},${o.side},${o.orderType},${o.timeInForce},${o.price},` +
      `${o.stopPrice},${o.open},${o.display},${o.expiry}]`,
  );
  return (
    `{"id":${a.id},"parent":${a.parent?.id ?? 0},"name":${JSON.stringify(a.name)},"killed":${a.killed ? 1 : 0},` +
    `"orderTypes":${a.orderTypes},"instrumentDefault":${a.instrumentDefault},` +
    `"instrumentRights":[${rights.join()}],"limits":[${limits.join()}],"balances":[${balances.join()}],` +
    `"exposures":[${exposures.join()}],"orders":[${orders.join()}]}`
  );
}

function byKey(x: readonly [number, unknown], y: readonly [number, unknown]): number {
  return x[0] - y[0];
}
