import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTree, root } from './files.ts';

test('native/sources.txt lists every source file, once, in order (npm run sources)', () => {
  const listed = readFileSync(join(root, 'native', 'sources.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(listed).toEqual(readTree('native', ['.cpp']).map(({ path }) => path.slice('native/'.length)));
});
