// What a stream reached that none did before: edges of the core's code with bucketed hit counts (as AFL
// does, M. Zalewski, "Technical details"), and pairs of events that follow each other within a command, as
// the oracle gives them: they guide also where the core is not instrumented.

import type { Event } from '../oracle/wire.ts';

const SIZE = 1 << 16;

// 1, 2, 3, 4–7, 8–15, 16–31, 32–127, 128–255 hits: one bit each.
const BUCKETS: Uint8Array = Uint8Array.from({ length: 256 }, (_, hits) => {
  if (hits === 0) return 0;
  if (hits <= 3) return 1 << (hits - 1);
  if (hits <= 7) return 8;
  if (hits <= 15) return 16;
  if (hits <= 31) return 32;
  return hits <= 127 ? 64 : 128;
});

export class Coverage {
  readonly edges: Uint8Array = new Uint8Array(SIZE);
  readonly behaviours: Uint8Array = new Uint8Array(SIZE);
  #new = 0;

  // The stream that begins now.
  begin(): void {
    this.#new = 0;
  }

  // The oracle's events of one command.
  watch(events: readonly Event[]): void {
    let last = 0;
    for (const e of events) {
      const mark = Math.imul((e.type << 20) ^ (e.code << 12) ^ (e.flags << 4) ^ e.kind, 0x9e3779b1) >>> 16;
      const pair = (mark ^ (last >>> 1)) & (SIZE - 1);
      if (this.behaviours[pair] === 0) {
        this.behaviours[pair] = 1;
        this.#new++;
      }
      last = mark;
    }
  }

  // The core's own hit counts of the whole stream.
  addHits(map: Uint8Array): void {
    const words = new Uint32Array(map.buffer, map.byteOffset, map.byteLength / 4);
    for (let w = 0; w < words.length; w++) {
      if (words[w] === 0) continue;
      for (let i = w * 4; i < w * 4 + 4; i++) {
        const bucket = BUCKETS[map[i]!]!;
        if ((this.edges[i]! & bucket) === bucket) continue;
        this.edges[i] = this.edges[i]! | bucket;
        this.#new++;
      }
    }
  }

  // Whether the stream brought anything new.
  isNew(): boolean {
    return this.#new > 0;
  }

  edgeCount(): number {
    return countOf(this.edges);
  }

  behaviourCount(): number {
    return countOf(this.behaviours);
  }
}

export function countOf(map: Uint8Array): number {
  let count = 0;
  for (const cell of map) if (cell !== 0) count++;
  return count;
}
