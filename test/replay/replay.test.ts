import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ReplayExchange, type ReplayResult, replay } from '../../src/replay/replay.ts';
import { PlainExchange } from './plain-exchange.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-replay-'));
afterAll(() => rmSync(folder, { recursive: true }));

const path = join(folder, 'flow.jsonl');
const lines: object[] = [];
for (let at = 1; at <= 3000; at += 1) {
  const side = at % 2 === 0 ? 'buy' : 'sell';
  lines.push({
    op: 'new',
    id: `o${at}`,
    account: `a${at % 5}`,
    instrument: 'X-USD',
    side,
    price: `${100 + ((at * 7) % 11)}`,
    quantity: `${1 + (at % 4)}`,
  });
  if (at % 3 === 0) lines.push({ op: 'cancel', id: `o${at - 1}` });
  if (at % 5 === 0) lines.push({ op: 'reduce', id: `o${at}`, by: '1' });
}
writeFileSync(path, lines.map((line) => JSON.stringify(line)).join('\n'));

const run = (
  name: string,
  open: (data: string | undefined) => ReplayExchange,
  data?: string,
): Promise<ReplayResult> =>
  replay({
    path,
    format: 'jsonl',
    data,
    eventsOut: join(folder, `${name}.events`),
    bboOut: join(folder, `${name}.bbo`),
    open: (options) => Promise.resolve(open(options.data)),
  });

const counts = ({ elapsedMs, commandsPerSecond, resumedFrom, ...rest }: ReplayResult): object => rest;
const written = (name: string): string[] =>
  ['events', 'bbo'].map((kind) => readFileSync(join(folder, `${name}.${kind}`), 'utf8'));

describe('replay', () => {
  test('the same twice, with any room in the input ring', async () => {
    const one = await run('one', () => new PlainExchange({ room: 3000 }));
    const two = await run('two', () => new PlainExchange({ room: 7 }));
    expect(counts(two)).toEqual(counts(one));
    expect(written('two')).toEqual(written('one'));
    expect(one.accepted + one.rejected).toBe(one.commands);
    expect(one.trades).toBeGreaterThan(500);
  });

  test.each([1, 9, 1500, 4000])(
    'a folder that holds the first %i commands goes on exactly there, with the totals of the whole',
    async (part) => {
      const data = join(folder, `data-${part}`);
      const whole = new PlainExchange();
      const all = await run('whole', () => whole, data);
      const resumed = new PlainExchange({ before: whole.taken.slice(0, part) });
      const again = await run('again', (at) => (at === undefined ? new PlainExchange() : resumed), data);
      expect(again.resumedFrom).toBe(part);
      expect(counts(again)).toEqual(counts(all));
      expect(resumed.taken).toEqual(whole.taken);
      expect(written('again')).toEqual(written('whole'));
    },
  );

  test('a finished folder is left as it is', async () => {
    const data = join(folder, 'finished');
    const whole = new PlainExchange();
    const all = await run('done', () => whole, data);
    const later = new PlainExchange({ before: whole.taken });
    const again = await run('redone', (at) => (at === undefined ? new PlainExchange() : later), data);
    expect(counts(again)).toEqual(counts(all));
    expect(again.resumedFrom).toBe(all.commands);
    expect(later.taken.length).toBe(all.commands);
  });

  test('a folder of something else is refused', async () => {
    const data = join(folder, 'foreign');
    const before = [{ op: 'day-end' } as const];
    const open = (at: string | undefined) =>
      at === undefined ? new PlainExchange() : new PlainExchange({ before });
    await expect(run('x', open, data)).rejects.toMatchObject({
      code: 'REPLAY_FOREIGN_DATA',
      message: expect.stringContaining('no replay wrote'),
    });
    await run('x', () => new PlainExchange(), data);
    await expect(run('x', open, data)).rejects.toMatchObject({
      code: 'REPLAY_FOREIGN_DATA',
      message: expect.stringContaining('not a part'),
    });
    const more = Array.from({ length: 9000 }, () => ({ op: 'day-end' }) as const);
    await expect(
      run('x', (at) => new PlainExchange(at === undefined ? {} : { before: more }), data),
    ).rejects.toMatchObject({ code: 'REPLAY_FOREIGN_DATA' });
    const other = join(folder, 'other.jsonl');
    writeFileSync(other, `${JSON.stringify(lines[0])}\n`);
    await expect(
      replay({ path: other, format: 'jsonl', data, open: () => Promise.resolve(new PlainExchange()) }),
    ).rejects.toMatchObject({
      code: 'REPLAY_FOREIGN_DATA',
      message: expect.stringContaining('another file'),
    });
  });

  test('events and best prices, line by line', async () => {
    const small = join(folder, 'small.jsonl');
    writeFileSync(
      small,
      [
        { op: 'instrument', instrument: 'X-USD', tick: '0.5', lot: '1' },
        { op: 'new', id: 's1', instrument: 'X-USD', side: 'sell', price: '10.5', quantity: '3' },
        { op: 'new', id: 'b1', instrument: 'X-USD', side: 'buy', price: '11', quantity: '5' },
        { op: 'cancel', id: 's1' },
        { op: 'cancel', id: 'b1' },
      ]
        .map((line) => JSON.stringify(line))
        .join('\n'),
    );
    const [eventsOut, bboOut] = [join(folder, 'small.events'), join(folder, 'small.bbo')];
    await replay({
      path: small,
      format: 'jsonl',
      eventsOut,
      bboOut,
      open: () => Promise.resolve(new PlainExchange()),
    });
    const events = readFileSync(eventsOut, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ position }) => position > 7);
    expect(events).toMatchObject([
      { position: 8, event: 'accepted', id: 's1' },
      { position: 9, event: 'accepted', id: 'b1' },
      {
        position: 9,
        event: 'trade',
        id: 'b1',
        instrument: 'X-USD',
        price: '10.5',
        quantity: '3',
        maker: 's1',
        taker: 'b1',
        makerLeft: '0',
        takerLeft: '2',
      },
      { position: 9, event: 'booked', id: 'b1', open: '2' },
      { position: 10, event: 'rejected', id: 's1', code: 'ORDER_CLOSED' },
      { position: 11, event: 'cancelled', id: 'b1', quantity: '2' },
    ]);
    expect(readFileSync(bboOut, 'utf8')).toBe(
      [
        'position,instrument,bid,bidQuantity,ask,askQuantity',
        '8,X-USD,,,10.5,3',
        '9,X-USD,11,2,,',
        '11,X-USD,,,,',
        '',
      ].join('\n'),
    );
  });

  test('outputs that cannot be written are an error', async () => {
    const open = () => Promise.resolve(new PlainExchange());
    await expect(
      replay({ path, format: 'jsonl', eventsOut: join(folder, 'no', 'such', 'folder'), open }),
    ).rejects.toMatchObject({
      code: 'REPLAY_OUTPUT_FAILED',
    });
  });
});
