import { describe, expect, test } from 'vitest';
import type { Figures } from '../../src/console/figures.ts';
import {
  bytes,
  decimalsOf,
  duration,
  elapsed,
  nanoseconds,
  price,
  thousands,
} from '../../src/console/format.ts';
import { plainLine } from '../../src/console/live-view.ts';
import { colours, cut, noColours, panel, plain, spark, visibleLength } from '../../src/console/panel.ts';

const rows = (from: number, step: number): [string, string, number][] =>
  Array.from({ length: 6 }, (_, index) => [String((from + index * step) / 10), String(0.5 + index), 1]);

function figuresOf(more: Partial<Figures> = {}): Figures {
  const instrument = (name: string) => ({
    instrument: name,
    tickSize: '0.1',
    lotSize: '0.0001',
    bids: rows(1_299_990, -1),
    asks: rows(1_299_991, 1),
    last: '129999',
    direction: 1,
    tradesPerSecond: 1234,
  });
  return {
    upMs: 3_723_000,
    instruments: ['BTC-USD', 'ETH-USD', 'SOL-USD'].map(instrument),
    commandsPerSecond: 2000,
    tradesPerSecond: 900,
    rejectsPerSecond: 12,
    latency: {
      samples: 10,
      p50: 110_000,
      p90: 220_000,
      p99: 1_500_000,
      p999: 12_000_000,
      max: 1_200_000_000,
    },
    position: 123_456_789n,
    durablePosition: 123_456_700n,
    snapshotPosition: 123_000_000n,
    journalBytes: 5e9,
    httpClients: 3,
    webSocketClients: 2,
    openOrders: 612,
    memoryBytes: 200e6,
    fault: undefined,
    ...more,
  };
}

function drawn(width: number, height: number, figures = figuresOf(), paint = noColours): string[] {
  return panel({ title: 'demo market, seed 1', figures, width, height, paint, history: [1, 5, 9, 3] });
}

describe('the panel', () => {
  test('fits every size, painted or not', () => {
    for (const paint of [noColours, colours]) {
      for (let width = 41; width <= 200; width += 3) {
        for (const height of [1, 5, 10, 15, 24, 60]) {
          const lines = drawn(width, height, figuresOf(), paint);
          expect(lines.length).toBeLessThanOrEqual(height);
          for (const line of lines) expect(visibleLength(line), line).toBeLessThan(width);
        }
      }
    }
  });

  test('shows everything in 80 by 24', () => {
    const text = drawn(80, 24).join('\n');
    for (const part of [
      'BTC-USD',
      'ETH-USD',
      'SOL-USD',
      '129,999.0',
      '0.5000',
      '▲',
      '1,234',
      'trades/s',
      '2,000',
      '900',
      '110 µs',
      '1.5 ms',
      '12 ms',
      '1.2 s',
      '123,456,789',
      '−89',
      '123,000,000',
      '4.7 GiB',
      'http 3',
      'ws 2',
      '612',
      '01:02:03',
      'Ctrl-C',
      '│',
    ]) {
      expect(text).toContain(part);
    }
  });

  test('goes without depth where there is no room, and without a market where there is none', () => {
    expect(drawn(80, 12).join('\n')).not.toContain('depth');
    const empty = drawn(80, 24, figuresOf({ instruments: [], latency: undefined, openOrders: undefined }));
    expect(empty.join('\n')).toContain('no instruments yet');
    const bare = figuresOf().instruments.map((one) => ({ ...one, bids: [], asks: [], last: null }));
    expect(drawn(80, 24, figuresOf({ instruments: bare })).join('\n')).toContain('–');
  });

  test('is the same without its paint', () => {
    expect(drawn(80, 24, figuresOf(), colours).map(plain)).toEqual(drawn(80, 24));
  });

  test('says when the books cannot be trusted', () => {
    expect(drawn(80, 24, figuresOf({ fault: new Error('out of step') })).join('\n')).toContain('out of step');
    expect(plainLine(figuresOf({ fault: 'x' }))).toContain('FAULT x');
  });
});

test('the plain line has the figures that matter', () => {
  expect(plainLine(figuresOf())).toBe(
    'position 123456789  durable 123456700  commands/s 2,000  trades/s 900  journal 4.7 GiB  p50 110 µs  p99 1.5 ms  BTC-USD 129999/129999.1  ETH-USD 129999/129999.1  SOL-USD 129999/129999.1',
  );
});

test('figures are readable', () => {
  expect([0, 999, 1000, 1234567n].map(thousands)).toEqual(['0', '999', '1,000', '1,234,567']);
  expect([price('1234.5', 2), price('1000', 0), price('0', 3)]).toEqual(['1,234.50', '1,000', '0.000']);
  expect([decimalsOf('0.01'), decimalsOf('25')]).toEqual([2, 0]);
  expect([bytes(0), bytes(1023), bytes(1536), bytes(3n * 1024n ** 4n)]).toEqual([
    '0 B',
    '1023 B',
    '1.5 KiB',
    '3.0 TiB',
  ]);
  expect([duration(0), duration(90_061_000)]).toEqual(['00:00:00', '1d 01:01:01']);
  expect([nanoseconds(12), nanoseconds(1500), nanoseconds(120_000), nanoseconds(2.5e9)]).toEqual([
    '12 ns',
    '1.5 µs',
    '120 µs',
    '2.5 s',
  ]);
  expect(elapsed(0.5)).toBe('500 µs');
  expect(spark([0, 1, 2, 8])).toBe('▁▁▂█');
  expect(cut(colours.red('abcdef'), 3)).toBe(colours.red('abc'));
});
