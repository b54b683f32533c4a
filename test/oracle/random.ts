// Seeded randomness: Marsaglia's xorshift128 (Journal of Statistical Software 8/14, 2003), its four words
// filled by splitmix-style steps over the seed. Same seed, same stream, on any machine.

export class Random {
  #x: number;
  #y: number;
  #z: number;
  #w: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return (mixed ^ (mixed >>> 16)) >>> 0;
    };
    this.#x = next();
    this.#y = next();
    this.#z = next();
    this.#w = next() | 1;
  }

  // 32 random bits.
  bits(): number {
    const t = this.#x ^ (this.#x << 11);
    this.#x = this.#y;
    this.#y = this.#z;
    this.#z = this.#w;
    this.#w = (this.#w ^ (this.#w >>> 19) ^ t ^ (t >>> 8)) >>> 0;
    return this.#w;
  }

  // 0 … below − 1
  under(below: number): number {
    return Math.floor((this.bits() / 0x1_0000_0000) * below);
  }

  // from … to, both included
  between(from: number, to: number): number {
    return from + this.under(to - from + 1);
  }

  // True once in `times`.
  oneIn(times: number): boolean {
    return this.under(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.under(from.length)]!;
  }
}
