import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { codeOnly, readTree, root, type SourceFile } from './files.ts';

const linesMax = 700;
const code = ['.h', '.cpp', '.ts', '.mjs'];

const engine = [...readTree('native', code), ...readTree('src', code)];
const everything = [
  ...engine,
  ...['test', 'scripts', 'bench'].flatMap((folder) => readTree(folder, [...code, '.txt', '.json'])),
  ...readTree('docs', ['.md']),
  // Programs there have no ending.
  ...readTree('docker', ['']),
];

// Put together here, so that this file does not find itself.
const unfinished = new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
const machinePath = new RegExp(
  `(?<![\\w.])/(?:${['wo' + 'rk', 'ro' + 'ot', 'ho' + 'me', 'Us' + 'ers'].join('|')})/\\w`,
);
const emptyFileName = /(?:^|[-_.])(?:utils?|helpers?|misc|common|impl|manager)(?=[-_.])/i;
const emptyTypeName = /\b(?:class|struct|interface|type)\s+\w*(?:Impl|Utils?|Helpers?|Manager)\b/;

function linesWith(
  files: readonly SourceFile[],
  pattern: RegExp,
  view = (text: string): string => text,
): string[] {
  return files.flatMap(({ path, text }) =>
    view(text)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
  );
}

describe('style', () => {
  test(`no file of native/ or src/ is longer than ${linesMax} lines`, () => {
    const long = engine.filter(({ text }) => text.split('\n').length - 1 > linesMax);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test('nothing is left for later', () => {
    expect(linesWith(everything, unfinished)).toEqual([]);
  });

  test('names say what a thing is', () => {
    const named = everything.filter(({ path }) => emptyFileName.test(path.split('/').at(-1) ?? ''));
    expect(named.map(({ path }) => path)).toEqual([]);
    expect(linesWith(engine, emptyTypeName, codeOnly)).toEqual([]);
  });

  test('no path of somebody’s machine is written down', () => {
    expect(linesWith(everything, machinePath)).toEqual([]);
  });

  test('the lock file names no registry', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
    expect(Object.keys(packages).filter((path) => 'resolved' in packages[path])).toEqual([]);
  });

  test('the patterns find what they are meant to find', () => {
    const bad = [
      `int x; // ${'TO' + 'DO'} later`,
      `auto p = "${'/ho' + 'me'}/ann/verbex";`,
      'class BookImpl {',
      'type OrderHelpers = 1;',
    ].map((text, index) => ({ path: `bad${index}`, text }));
    expect(linesWith(bad, unfinished)).toEqual(['bad0:1']);
    expect(linesWith(bad, machinePath)).toEqual(['bad1:1']);
    expect(linesWith(bad, emptyTypeName, codeOnly)).toEqual(['bad2:1', 'bad3:1']);
    expect(
      ['string-utils.ts', 'order_impl.cpp', 'book.h'].filter((name) => emptyFileName.test(name)),
    ).toHaveLength(2);
  });
});
