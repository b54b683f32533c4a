// The oracle of control stores: every record holds the tokens of all swaps before it, so that what a store has lost, doubled or invented is
// seen in the last one.
import { expect } from 'vitest';
import type { ControlStore } from '../../src/cluster/control-store.ts';

export type Outcome = 'swapped' | 'conflict' | 'unknown';

export class TokenLedger {
  readonly outcomes: Map<string, Outcome> = new Map();

  /** Intended, and no word of it: killed. */
  note(token: string, outcome: Outcome): void {
    this.outcomes.set(token, outcome);
  }

  count(outcome: Outcome): number {
    return [...this.outcomes.values()].filter((one) => one === outcome).length;
  }

  /** Reads and swaps, `times` over, whatever comes. */
  async write(store: ControlStore, writer: string, times: number): Promise<void> {
    for (let index = 0; index < times; index += 1) {
      const found = await store.read();
      if (found.kind !== 'read') continue;
      const token = `${writer}.${index}`;
      this.note(token, 'unknown');
      const answer = await store.compareAndSwap(found.record.revision, withToken(found.record.text, token));
      this.note(token, answer.kind);
      if (answer.kind === 'swapped') expect(answer.record.revision).toBeGreaterThan(found.record.revision);
    }
  }

  /** Holds the last record against what writers were told. */
  audit(last: string): void {
    const tokens = tokensOf(last);
    expect(new Set(tokens).size).toBe(tokens.length);
    const wrong = tokens.filter(
      (token) => !this.outcomes.has(token) || this.outcomes.get(token) === 'conflict',
    );
    expect(wrong).toEqual([]);
    const held = new Set(tokens);
    const lost = [...this.outcomes].filter(([token, outcome]) => outcome === 'swapped' && !held.has(token));
    expect(lost).toEqual([]);
  }
}

export function withToken(text: string, token: string): string {
  return text === '' ? token : `${text} ${token}`;
}

export function tokensOf(text: string): string[] {
  return text === '' ? [] : text.split(' ');
}
