import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { catalogue, entryOf, explained } from '../../src/bench/catalogue.ts';
import { root } from '../architecture/files.ts';

const page = readFileSync(join(root, 'docs', 'benchmarks.md'), 'utf8');
const manual = readFileSync(join(root, 'docs', 'cli.md'), 'utf8');

test.each(catalogue)('docs/benchmarks.md says of $name what --explain says', (entry) => {
  expect(page).toContain(`### ${entry.name}\n\n${entry.sentence}\n\n\`\`\`\n${entry.picture}\n\`\`\``);
  expect(page).toContain(entry.workload);
});

test.each(catalogue)('docs/cli.md lists the options of $name', ({ name, options }) => {
  const row = manual.split('\n').find((line) => line.startsWith(`| \`${name}\` |`) && line.includes('--'));
  expect(row).toBeDefined();
  const listed = [...(row ?? '').matchAll(/--([a-z]+)/g)].map(([, option]) => option);
  expect(listed.toSorted()).toEqual([...options].toSorted());
});

test('names are found, others are not', () => {
  expect(entryOf('core')?.name).toBe('core');
  expect(entryOf('speed')).toBeUndefined();
});

test('a picture is set in, line by line', () => {
  const entry = { name: 'x', sentence: 'S.', picture: 'a\nb', workload: 'W.', options: [], cases: [] };
  expect(explained(entry)).toBe('x: S.\n\n  a\n  b\n\nWorkload. W.');
  expect(explained({ ...entry, cases: ['one', 'two'] })).toMatch(/Workload\. W\.\n\n--case: one, two$/);
});
