// The documents and the code say the same.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { httpLimits, streamLimits } from '../../src/edges/limits.ts';
import { statusByCode } from '../../src/edges/request-error.ts';
import { exitCodeOf } from '../../src/errors/exit-codes.ts';
import { Venue } from './venue.ts';

function document(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

test('every route is in the document, with what it needs', async () => {
  const venue = await Venue.open();
  const [open, admin] = document('http-api.md').split('## Admin listener') as [string, string];
  const listed = (text: string): string[] =>
    [...text.matchAll(/^\| `((?:GET|POST|PUT|PATCH|DELETE) \/v1\/[^`]+)` \| ([^|]+?) \|/gm)].map(
      ([, route, needs]) => `${route} ${needs}`,
    );
  const { routes } = venue.edges;
  await venue.close();
  const needs = { public: '–', read: 'read', trade: 'trade', admin: 'admin' } as const;
  expect(listed(open).sort()).toEqual(
    routes.public.map(({ method, path, access }) => `${method} ${path} ${needs[access]}`).sort(),
  );
  const adminRoutes = listed(admin).map((line) => line.split(' ').slice(0, 2).join(' '));
  expect(adminRoutes.sort()).toEqual(routes.admin.map(({ method, path }) => `${method} ${path}`).sort());
  expect(routes.admin.every(({ access }) => access === 'admin')).toBe(true);
});

test('the statuses of reject codes are as documented, and the codes are the core’s', () => {
  const rows = [...document('http-api.md').matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|$/gm)].map(
    ([, code, status]) => [code, Number(status)],
  );
  expect(Object.fromEntries(rows)).toEqual(statusByCode);
  const rejects = readFileSync(new URL('../../native/wire/reject.h', import.meta.url), 'utf8');
  for (const code of Object.keys(statusByCode)) expect(rejects).toMatch(new RegExp(`X\\(\\d+, ${code}, `));
});

test('every code that the edges give is documented', () => {
  const text = document('http-api.md') + document('websocket.md');
  const files = [
    'access',
    'fields',
    'http-listener',
    'json',
    'keys',
    'market-routes',
    'order-routes',
    'router',
    'signature',
    'stream',
    'stream-client',
    'admin-routes',
  ];
  const codes = new Set(
    files.flatMap((file) => {
      const source = readFileSync(new URL(`../../src/edges/${file}.ts`, import.meta.url), 'utf8');
      return [...source.matchAll(/(?:RequestError\(\s*\d+,\s*|\[\d{3}, |code: )'([A-Z_]+)'/g)].map(
        ([, code]) => code as string,
      );
    }),
  );
  expect(codes.size).toBeGreaterThan(30);
  expect([...codes].filter((code) => !text.includes(code))).toEqual([]);
});

test('bounds and exit codes are as documented', () => {
  const [http, stream, operations] = [
    document('http-api.md'),
    document('websocket.md'),
    document('operations.md'),
  ];
  expect(http).toContain(`${httpLimits.bodyBytesMax / 1024} KiB, paths ${httpLimits.targetBytesMax} bytes`);
  expect(http).toContain(`${httpLimits.connectionsMax} connections`);
  for (const part of [
    `${streamLimits.historyMax} an`,
    `| ${streamLimits.clientsMax} |`,
    `| ${streamLimits.subscriptionsMax} |`,
    `| ${streamLimits.mistakesMax} |`,
    `${streamLimits.messageBurstMax} at once, ${streamLimits.messagesPerSecond} a second`,
  ]) {
    expect(stream).toContain(part);
  }
  for (const code of [
    'JOURNAL_DAMAGED',
    'SOURCES_DISAGREE',
    'EADDRINUSE',
    'IO_ERROR',
    'DATA_DIRECTORY_IN_USE',
    'LIMITS_DIFFER',
    'none',
  ]) {
    expect(operations).toContain(`| ${exitCodeOf({ code })} |`);
  }
});
