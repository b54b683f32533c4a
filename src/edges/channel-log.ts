// The latest messages of one channel of one instrument, so that a client that was cut off can go on where it was.

interface Kept {
  readonly previous: bigint;
  readonly position: bigint;
  readonly message: Buffer;
}

/** A ring of messages chained by position: each one's `previous` is the position of the one before. */
export class ChannelLog {
  readonly #kept: Kept[] = [];
  readonly #countMax: number;
  /** Of the first message kept: every message before it has gone. */
  #head = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  push(previous: bigint, position: bigint, message: Buffer): void {
    this.#kept.push({ previous, position, message });
    if (this.#kept.length - this.#head > this.#countMax) this.#head++;
    if (this.#head > this.#countMax) {
      this.#kept.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /**
   * The messages after `position`, or undefined when some of them have gone. The first one may begin before `position`: its
   * content is absolute, so that nothing goes wrong when a part of it is known already.
   */
  since(position: bigint): Buffer[] | undefined {
    const first = this.#kept[this.#head];
    if (first === undefined || position < first.previous) return undefined;
    let at = this.#kept.length;
    while (at > this.#head && (this.#kept[at - 1]?.position ?? 0n) > position) at--;
    return this.#kept.slice(at).map((one) => one.message);
  }
}
