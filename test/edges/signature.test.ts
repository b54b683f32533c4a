import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signatureWindowMs } from '../../src/edges/limits.ts';
import type { RequestError } from '../../src/edges/request-error.ts';
import { checkSignature, SignatureMemory, sameText, sign } from '../../src/edges/signature.ts';

const secret = 'a'.repeat(64);
const now = 1_700_000_000_000;

function request(
  more: { timestamp?: number; signature?: string; body?: string; target?: string; method?: string } = {},
) {
  const timestamp = more.timestamp ?? now;
  const method = more.method ?? 'POST';
  const target = more.target ?? '/v1/orders';
  const body = Buffer.from(more.body ?? '{}');
  const signature = more.signature ?? sign(secret, { timestamp, method, target, body });
  return { key: 'k', timestamp: String(timestamp), signature, method, target, body };
}

function codeOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    return (error as RequestError).code;
  }
  return 'none';
}

describe('a signed request', () => {
  test('is the HMAC-SHA256 of what the document says', () => {
    // Computed with: printf '1700000000000\nPOST\n/v1/orders\n{}' | openssl dgst -sha256 -hmac "$(printf 'a%.0s' {1..64})"
    expect(sign(secret, { timestamp: now, method: 'POST', target: '/v1/orders', body: '{}' })).toBe(
      '6a26197bc942b49bee4d27f73c2293a17087185c91713ad9bcc7c81c5f89987f',
    );
  });

  test('passes once', () => {
    const memory = new SignatureMemory();
    checkSignature(request(), secret, memory, now);
    expect(codeOf(() => checkSignature(request(), secret, memory, now + 1))).toBe('REPLAYED_SIGNATURE');
    expect(
      codeOf(() =>
        checkSignature(request({ signature: request().signature.toUpperCase() }), secret, memory, now),
      ),
    ).toBe('REPLAYED_SIGNATURE');
  });

  test('is refused when anything that was signed has changed', () => {
    const good = request();
    for (const bad of [
      { ...good, body: Buffer.from('{ }') },
      { ...good, target: '/v1/orders?' },
      { ...good, method: 'PUT' },
      { ...good, timestamp: String(now + 1) },
      { ...good, signature: '' },
      { ...good, signature: `${good.signature}0` },
    ]) {
      expect(codeOf(() => checkSignature(bad, secret, new SignatureMemory(), now))).toBe('INVALID_SIGNATURE');
    }
    expect(codeOf(() => checkSignature(good, undefined, new SignatureMemory(), now))).toBe(
      'INVALID_SIGNATURE',
    );
  });

  test('is refused outside of the window, and with a timestamp that is none', () => {
    const at = (timestamp: number) =>
      codeOf(() => checkSignature(request({ timestamp }), secret, new SignatureMemory(), now));
    expect(at(now - signatureWindowMs)).toBe('none');
    expect(at(now + signatureWindowMs)).toBe('none');
    expect(at(now - signatureWindowMs - 1)).toBe('STALE_TIMESTAMP');
    expect(at(now + signatureWindowMs + 1)).toBe('STALE_TIMESTAMP');
    for (const timestamp of ['', 'now', '-1', '1e12', '1700000000000.5', ' 1700000000000']) {
      expect(
        codeOf(() => checkSignature({ ...request(), timestamp }, secret, new SignatureMemory(), now)),
      ).toBe('INVALID_TIMESTAMP');
    }
  });

  test('is remembered for as long as its timestamp is fresh, and forgotten after', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: -30_000, max: 30_000 })), {
          maxLength: 60,
        }),
        (steps) => {
          const memory = new SignatureMemory();
          let clock = now;
          const sent: { signed: ReturnType<typeof request>; timestamp: number }[] = [];
          for (const [pause, skew] of steps) {
            clock += pause;
            const timestamp = clock + skew;
            const signed = request({ timestamp, target: `/v1/${sent.length}` });
            checkSignature(signed, secret, memory, clock);
            sent.push({ signed, timestamp });
            for (const old of sent) {
              const fresh = Math.abs(clock - old.timestamp) <= signatureWindowMs;
              const code = codeOf(() => checkSignature(old.signed, secret, memory, clock));
              expect(code).toBe(fresh ? 'REPLAYED_SIGNATURE' : 'STALE_TIMESTAMP');
            }
          }
          checkSignature(
            request({ timestamp: clock + 200_000, target: '/v1/last' }),
            secret,
            memory,
            clock + 200_000,
          );
          expect(memory.size).toBe(1);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('is refused rather than let through unremembered', () => {
    const memory = new SignatureMemory(3, 2);
    const remember = (key: string, signature: string, at = now) =>
      codeOf(() => memory.remember(key, signature, at, at));
    expect(remember('a', '1')).toBe('none');
    expect(remember('a', '2')).toBe('none');
    expect(remember('a', '3')).toBe('TOO_MANY_REQUESTS');
    expect(remember('b', '4')).toBe('none');
    expect(remember('c', '5')).toBe('TOO_MANY_REQUESTS');
    expect(remember('a', '6', now + 70_000)).toBe('none');
    expect(memory.size).toBe(1);
  });
});

test('texts are compared whole', () => {
  expect(sameText('abc', 'abc')).toBe(true);
  for (const other of ['', 'ab', 'abd', 'abcd', 'äbc']) expect(sameText(other, 'abc')).toBe(false);
});
