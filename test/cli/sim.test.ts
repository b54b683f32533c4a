import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../architecture/files.ts';
import { verbex } from './command-line.ts';

interface SimAnswer {
  readonly seeds: number;
  readonly failed: number;
  readonly traceHash: string;
  readonly failures: readonly { seed: number; problem: string; again: string }[];
  readonly [counter: string]: unknown;
}

async function sim(...args: string[]): Promise<{ code: number; answer: SimAnswer; err: string }> {
  const { code, json, err } = await verbex(['sim', ...args, '--json']);
  return { code, answer: json as SimAnswer, err };
}

describe('verbex sim', () => {
  test('runs seeds and ends with what happened in them', async () => {
    const { code, answer } = await sim('--seeds', '4');
    expect(answer).toMatchObject({ seeds: 4, failed: 0, firstSeed: 1, failures: [] });
    expect(code).toBe(0);
    for (const counter of ['commands', 'released', 'takeovers', 'swaps'])
      expect(answer[counter]).toBeGreaterThan(0);
  });

  test('a seed is the same run again, on any number of threads', async () => {
    const { answer: one } = await sim('--seed', '11', '--seeds', '3', '--threads', '1');
    const { answer: other } = await sim('--seed', '11', '--seeds', '3', '--threads', '2');
    expect(other.traceHash).toBe(one.traceHash);
    const { answer: another } = await sim('--seed', '12', '--seeds', '3');
    expect(another.traceHash).not.toBe(one.traceHash);
  });

  test('a failing seed is named with its problem and how to see it again', async () => {
    const { code, answer, err } = await sim('--mutant', 'duplicate-applied', '--seeds', '2', '--threads', '1');
    expect(answer.failed).toBeGreaterThan(0);
    const [failure] = answer.failures;
    expect(failure?.again).toBe(`verbex sim --seed ${failure?.seed} --seeds 1 --mutant duplicate-applied`);
    expect(err).toContain(`seed ${failure?.seed}: ${failure?.problem}`);
    expect(err).toContain(`again: ${failure?.again}`);
    // A broken rule that is noticed is what was asked for.
    expect(code).toBe(0);
    const again = await sim(...(failure?.again ?? '').split(' ').slice(2));
    expect(again.answer.failures[0]).toMatchObject({ seed: failure?.seed, problem: failure?.problem });
  });

  test('a broken rule that nobody notices is exit code 1', async () => {
    // Two members and no trouble to speak of: too few runs to see it.
    const { code, answer } = await sim('--mutant', 'truncate-stale', '--seeds', '1');
    expect(answer.failed).toBe(0);
    expect(code).toBe(1);
  });

  test('a mutant that does not exist is a usage error, and the manual names those that do', async () => {
    const { code, err } = await verbex(['sim', '--mutant', 'nonsense']);
    expect(code).toBe(2);
    const names = /not one of (.*)/.exec(err)?.[1]?.split(', ') ?? [];
    expect(names.length).toBeGreaterThan(10);
    const manual = readFileSync(join(root, 'docs', 'simulator.md'), 'utf8');
    for (const name of names) expect(manual).toContain(`\`${name}\``);
  });
});
