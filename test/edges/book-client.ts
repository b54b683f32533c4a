// A client of the book channel, as the document tells people to write it.

// biome-ignore lint/suspicious/noExplicitAny: whatever JSON came.
type Message = any;
type Row = [string, string, number];

export class BookClient {
  readonly bids: Map<string, Row> = new Map();
  readonly asks: Map<string, Row> = new Map();
  position = -1;
  gaps = 0;

  take(message: Message): void {
    if (message.type === 'snapshot') {
      this.bids.clear();
      this.asks.clear();
    } else if (message.position <= this.position) return;
    else if (message.previous > this.position) {
      this.gaps++;
      return;
    }
    for (const [levels, rows] of [
      [this.bids, message.bids],
      [this.asks, message.asks],
    ] as [Map<string, Row>, Row[]][]) {
      for (const row of rows) {
        if (row[1] === '0') levels.delete(row[0]);
        else levels.set(row[0], row);
      }
    }
    this.position = message.position;
  }

  get book(): { bids: Row[]; asks: Row[] } {
    const sorted = (levels: Map<string, Row>, sign: number): Row[] =>
      [...levels.values()].sort((a, b) => sign * (Number(a[0]) - Number(b[0])));
    return { bids: sorted(this.bids, -1), asks: sorted(this.asks, 1) };
  }
}
