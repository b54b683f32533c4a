import { describe, expect, test } from 'vitest';
import { csvOf, fieldsOf, headOf, parseResult } from '../../src/bench/result.ts';

describe('heads', () => {
  test.each([
    ['opsPerSecond', 'ops/s'],
    ['p50Ns', 'p50 ns'],
    ['p999Ns', 'p99.9 ns'],
    ['p9999Ns', 'p99.99 ns'],
    ['withoutWorstUs', 'without worst us'],
    ['snapshotMs', 'snapshot ms'],
    ['cellBytes', 'cell bytes'],
    ['bytesPerRestingOrder', 'bytes per resting order'],
    ['plan', 'plan'],
  ])('%s is headed "%s"', (field, head) => {
    expect(headOf(field)).toBe(head);
  });
});

test('columns are all figures, in the order in which they come', () => {
  expect(
    fieldsOf([
      { a: 1, c: 2 },
      { b: 3, a: 4 },
    ]),
  ).toEqual(['a', 'c', 'b']);
});

test('comma-separated values quote what must be quoted', () => {
  expect(csvOf([{ name: 'one, "two"', p50Ns: 1 }, { name: 'x' }])).toBe('case,p50 ns\n"one, ""two""",1\nx,');
});

test('what has no cases is no result', () => {
  expect(parseResult('{"cases":[]}')).toEqual({ cases: [] });
  for (const line of ['', '{}', 'null', '{"cases":{}}']) expect(() => parseResult(line)).toThrow();
});
