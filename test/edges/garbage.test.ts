// Whatever comes in: a 4xx with a code, never a 5xx, and the core does not notice.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SendOptions, type StreamReader, Venue } from './venue.ts';

let venue: Venue;
beforeAll(async () => {
  venue = await Venue.open();
});
afterAll(() => venue.close());

const seed = Number(process.env.VERBEX_SEED ?? 20_260_101);
const runs = { seed, numRuns: Number(process.env.VERBEX_RUNS ?? 150) };

const wrongPrice = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(
    '',
    ' ',
    '-',
    '.',
    '1.',
    '.5',
    '1e5',
    '0x10',
    '+1',
    '1,5',
    '१',
    'NaN',
    'Infinity',
    '1'.repeat(41),
    '0.0000000000000000001',
    '10.3',
  ),
  fc.constantFrom(null, true, {}, [], ['1']),
);
const good = { instrument: 'BTC-USD', id: 'g', side: 'buy', price: '10', quantity: '1' };
const fields = [
  'instrument',
  'id',
  'side',
  'type',
  'tif',
  'price',
  'quantity',
  'stopPrice',
  'displayQuantity',
  'minQuantity',
  'expiry',
  'postOnly',
  'selfTrade',
  'selfTradeScope',
];

const bodies = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.string({ unit: 'binary', maxLength: 200 }).filter((text) => text.trim() !== ''),
  },
  { weight: 2, arbitrary: fc.json({ maxDepth: 12 }) },
  // One field is wrong, the others are right.
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom('price', 'quantity', 'stopPrice', 'displayQuantity', 'minQuantity'), wrongPrice)
      .map(([field, value]) => JSON.stringify({ ...good, [field]: value === undefined ? null : value })),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(...fields), fc.anything({ maxDepth: 2 }))
      .filter(([, value]) => value !== undefined && typeof value !== 'string')
      .filter(([field, value]) => !(field === 'expiry' && typeof value === 'number'))
      .map(([field, value]) =>
        JSON.stringify({ ...good, [field]: value ?? null }, (_, one) =>
          typeof one === 'bigint' ? Number(one) : one,
        ),
      )
      .filter((text) => text !== JSON.stringify(good) && Object.keys(JSON.parse(text)).length >= 5),
  },
  {
    weight: 2,
    arbitrary: fc
      .string({ minLength: 1, maxLength: 12 })
      .filter((name) => !fields.includes(name) && name !== 'account')
      .map((name) => JSON.stringify(Object.fromEntries([...Object.entries(good), [name, '1']]))),
  },
  {
    weight: 2,
    arbitrary: fc
      .nat(JSON.stringify(good).length - 1)
      .map((length) => JSON.stringify(good).slice(0, length))
      .filter((text) => text !== ''),
  },
);

async function expectRefused(method: string, target: string, options: SendOptions): Promise<void> {
  const before = venue.position;
  const answer = await venue.send(method, target, options);
  expect(answer.status, answer.text).toBeGreaterThanOrEqual(400);
  expect(answer.status, answer.text).toBeLessThan(500);
  expect(answer.body.error.code).toMatch(/^[A-Z_]+$/);
  expect(venue.position).toBe(before);
}

test('garbage bodies of every route that takes one', async () => {
  const routes = [
    ...venue.edges.routes.public.map((route) => ({ ...route, admin: false })),
    ...venue.edges.routes.admin.map((route) => ({ ...route, admin: true })),
  ].filter(({ takesBody, path }) => takesBody && path !== '/v1/day-end');
  expect(routes.length).toBeGreaterThan(15);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), bodies, async (route, raw) => {
      fc.pre(!/^\s*\{\s*\}\s*$/.test(raw)); // "All of it" is a fair wish of an operator's mass cancel.
      const key = route.admin ? { key: 'admin', secret: venue.edges.adminKey } : venue.alice;
      await expectRefused(route.method, route.path.replace(/:\w+/g, 'g'), { key, raw, admin: route.admin });
    }),
    runs,
  );
});

test('garbage orders', async () => {
  await fc.assert(
    fc.asyncProperty(bodies, (raw) => expectRefused('POST', '/v1/orders', { key: venue.alice, raw })),
    runs,
  );
});

test('garbage paths and queries', async () => {
  const part = fc.string({ unit: 'grapheme-ascii', maxLength: 20 }).map(encodeURIComponent);
  const target = fc
    .oneof(
      fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `/v1/${parts.join('/')}`),
      fc
        .tuple(fc.constantFrom('/v1/book/BTC-USD', '/v1/trades/BTC-USD', '/v1/instruments'), part, part)
        .map(([path, name, value]) => `${path}?x${name}=${value}`),
      fc
        .tuple(
          fc.constantFrom('level', 'levels'),
          part.filter((text) => !/^-?\d+$/.test(text)),
        )
        .map(([name, value]) => `/v1/book/BTC-USD?${name}=${value}`),
    )
    .filter((path) => !['/v1/', '/v1/health', '/v1/metrics', '/v1/instruments', '/v1/orders'].includes(path));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
      target,
      (method, path) => expectRefused(method, path, {}),
    ),
    runs,
  );
});

test('garbage credentials', async () => {
  const header = fc.string({ unit: 'grapheme-ascii', maxLength: 80 });
  await fc.assert(
    fc.asyncProperty(header, header, header, header, async (key, timestamp, signature, token) => {
      const clean = (text: string): string => text.replace(/[^\x21-\x7e]/g, '');
      const headers = {
        'verbex-key': clean(key),
        'verbex-timestamp': clean(timestamp),
        'verbex-signature': clean(signature),
      };
      await expectRefused('POST', '/v1/orders', { raw: JSON.stringify(good), headers });
      await expectRefused('POST', '/v1/orders', {
        raw: JSON.stringify(good),
        headers: { authorization: `Bearer ${clean(token)}` },
      });
    }),
    { ...runs, numRuns: Math.ceil(runs.numRuns / 3) },
  );
});

test('garbage messages on the stream', async () => {
  const before = venue.position;
  let reader: StreamReader | undefined;
  const message = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.json(),
    fc
      .record({
        op: fc.constantFrom('subscribe', 'unsubscribe', 'auth', 'none'),
        channel: fc.string(),
        instrument: fc.string(),
        from: fc.integer(),
      })
      .map((one) => JSON.stringify(one)),
  );
  await fc.assert(
    fc.asyncProperty(message, async (text) => {
      if (
        reader === undefined ||
        reader.closed !== undefined ||
        reader.socket.readyState !== reader.socket.OPEN
      )
        reader = await venue.stream();
      const from = reader.messages.length;
      reader.send(text);
      const answer = await reader.next(() => true, from);
      expect(answer).toMatchObject({ op: 'error', code: expect.stringMatching(/^[A-Z_]+$/) });
      if (reader.messages.filter(({ op }) => op === 'error').length >= 9) {
        reader.close();
        reader = undefined;
      }
    }),
    runs,
  );
  reader?.close();
  expect(venue.position).toBe(before);
});
