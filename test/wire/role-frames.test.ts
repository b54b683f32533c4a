// docs/roles.md states the frames between roles as native/roles/frames.h has them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const header = read('native/roles/frames.h');
const page = read('docs/roles.md');
const tables = page.split('<!-- frames -->')[1]!.split('<!-- end of frames -->')[0]!;

test('kinds have the numbers that the page says', () => {
  const body = /enum class MessageKind : uint8_t \{(.*?)\};/s.exec(header)![1]!;
  const inHeader = [...body.matchAll(/(\w+) = (\d+),/g)]
    .map(([, name, number]) => [name, Number(number)])
    .filter(([name]) => name !== 'None');
  const inPage = [...tables.matchAll(/^\| (\w+) \| (\d+) \| [\w, ]+ → /gm)].map(([, name, number]) => [
    name,
    Number(number),
  ]);
  expect(inPage).toEqual(inHeader);
});

test('bodies have the sizes that the page says', () => {
  const inHeader = [...header.matchAll(/static_assert\(sizeof\((\w+Body)\) == (\d+)\)/g)].map(
    ([, name, bytes]) => [name, Number(bytes)],
  );
  const inPage = [...tables.matchAll(/^\| `(\w+Body)` \| (\d+) \|$/gm)].map(([, name, bytes]) => [
    name,
    Number(bytes),
  ]);
  expect(inPage).toEqual(inHeader);
});

test('the headers of frames and messages are what the page says', () => {
  const sizes: Record<string, number> = { MessageKind: 1, uint8_t: 1, uint16_t: 2, uint32_t: 4, uint64_t: 8 };
  const fieldsOf = (struct: string): unknown[] => {
    const body = new RegExp(`struct ${struct} \\{(.*?)\\n\\};`, 's').exec(header)![1]!;
    let offset = 0;
    return [...body.matchAll(/^ {4}(\w+) (\w+) = /gm)].map(([, type, name]) => {
      const size = sizes[type!]!;
      const field = [name, offset, size];
      offset += size;
      return field;
    });
  };
  const inHeader = [...fieldsOf('FrameHeader'), ...fieldsOf('MessageHeader')];
  const inPage = [...tables.matchAll(/^\| (\w+)(?::[^|]*)? \| (\d+) \| (\d+) \|$/gm)].map(
    ([, name, at, bytes]) => [name, Number(at), Number(bytes)],
  );
  expect(inPage).toEqual(inHeader);
  expect(/kFrameBytesMax = 56u << 10;/.test(header)).toBe(true);
  expect(page).toContain('57,344 bytes');
});
