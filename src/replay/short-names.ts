/**
 * Names and ids that the core cannot hold (longer than 16 characters and no UUID, or with blanks or letters beyond
 * ASCII) get a short one made from their digest: the same text always gets the same short one, in every run.
 */
import { createHash } from 'node:crypto';

const plain = /^[\x21-\x7e]{1,16}$/;
// Of RFC 9562: anything else of that shape is a long text like any other.
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const shortLength = 16;

export class ShortNames {
  readonly #short = new Map<string, string>();
  readonly #original = new Map<string, string>();

  /** An order or transaction id as the core takes it. */
  id(text: string): string {
    if (plain.test(text)) return text;
    if (!uuid.test(text)) return this.#shorten(text);
    const lower = text.toLowerCase();
    if (lower !== text) this.#original.set(lower, text);
    return lower;
  }

  /** The name of an account, asset or instrument as the core takes it. */
  name(text: string): string {
    return plain.test(text) ? text : this.#shorten(text);
  }

  original(short: string): string {
    return this.#original.get(short) ?? short;
  }

  #shorten(text: string): string {
    const known = this.#short.get(text);
    if (known !== undefined) return known;
    // 15 characters of base64url are 90 bits: no two ids of a file meet.
    const short = `~${createHash('sha256').update(text).digest('base64url')}`.slice(0, shortLength);
    this.#short.set(text, short);
    this.#original.set(short, text);
    return short;
  }
}
