// Signed requests: HMAC-SHA256 over timestamp, method, target and body; each counts once.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { signaturesRememberedMax, signaturesRememberedPerKeyMax, signatureWindowMs } from './limits.ts';
import { RequestError } from './request-error.ts';

export interface SignedRequest {
  readonly key: string;
  /** Milliseconds since 1970, as the client wrote it. */
  readonly timestamp: string;
  /** 64 hex digits. */
  readonly signature: string;
  readonly method: string;
  /** The path with its query, as it stands on the request line. */
  readonly target: string;
  readonly body: Uint8Array;
}

/** The headers of a signed request, for clients and tests. */
export function sign(
  secret: string,
  request: { timestamp: number; method: string; target: string; body?: string | Uint8Array },
): string {
  return createHmac('sha256', secret)
    .update(`${request.timestamp}\n${request.method}\n${request.target}\n`)
    .update(request.body ?? '')
    .digest('hex');
}

/** Compares in constant time; texts of other lengths are compared with themselves. */
export function sameText(given: string, wanted: string): boolean {
  const left = Buffer.from(given);
  const right = Buffer.from(wanted);
  if (left.length !== right.length) {
    timingSafeEqual(right, right);
    return false;
  }
  return timingSafeEqual(left, right);
}

/**
 * Remembers the signatures of the window. Bounded: when there is no room a request is refused, never let
 * through unremembered.
 * Invariant: a signature is forgotten only once its timestamp is stale.
 */
export class SignatureMemory {
  readonly #known = new Set<string>();
  /** By the second in which they become stale. */
  readonly #bySecond = new Map<number, { signature: string; key: string }[]>();
  readonly #perKey = new Map<string, number>();
  readonly #totalMax: number;
  readonly #perKeyMax: number;

  constructor(totalMax: number = signaturesRememberedMax, perKeyMax: number = signaturesRememberedPerKeyMax) {
    this.#totalMax = totalMax;
    this.#perKeyMax = perKeyMax;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Throws when the signature has been seen, or no room is left to remember it. */
  remember(key: string, signature: string, timestamp: number, now: number): void {
    this.#forget(now);
    if (this.#known.has(signature)) {
      throw new RequestError(
        401,
        'REPLAYED_SIGNATURE',
        'this signature was used already: sign with a new timestamp',
      );
    }
    const held = this.#perKey.get(key) ?? 0;
    if (held >= this.#perKeyMax || this.#known.size >= this.#totalMax) {
      throw new RequestError(429, 'TOO_MANY_REQUESTS', 'too many signed requests in the last minute');
    }
    const second = Math.floor((timestamp + signatureWindowMs) / 1000) + 1;
    const bucket = this.#bySecond.get(second);
    if (bucket === undefined) this.#bySecond.set(second, [{ signature, key }]);
    else bucket.push({ signature, key });
    this.#known.add(signature);
    this.#perKey.set(key, held + 1);
  }

  #forget(now: number): void {
    for (const [second, bucket] of this.#bySecond) {
      if (second * 1000 >= now) continue;
      this.#bySecond.delete(second);
      for (const { signature, key } of bucket) {
        this.#known.delete(signature);
        const left = (this.#perKey.get(key) ?? 1) - 1;
        if (left > 0) this.#perKey.set(key, left);
        else this.#perKey.delete(key);
      }
    }
  }
}

/** Stands in for the secret of a key that does not exist, so that both cases take the same time. */
const nobodysSecret = '0'.repeat(64);

/** Throws 401 unless the request is fresh, signed with the secret, and new. */
export function checkSignature(
  request: SignedRequest,
  secret: string | undefined,
  memory: SignatureMemory,
  now: number,
): void {
  if (!/^\d{12,14}$/.test(request.timestamp)) {
    throw new RequestError(401, 'INVALID_TIMESTAMP', 'verbex-timestamp must be milliseconds since 1970');
  }
  const timestamp = Number(request.timestamp);
  if (Math.abs(now - timestamp) > signatureWindowMs) {
    throw new RequestError(
      401,
      'STALE_TIMESTAMP',
      `the timestamp is more than ${signatureWindowMs / 1000} s away from now`,
    );
  }
  const { method, target, body } = request;
  const wanted = sign(secret ?? nobodysSecret, { timestamp, method, target, body });
  const good = sameText(request.signature.toLowerCase(), wanted);
  if (!good || secret === undefined) {
    throw new RequestError(401, 'INVALID_SIGNATURE', 'the key is unknown or the signature is wrong');
  }
  memory.remember(request.key, wanted, timestamp, now);
}
