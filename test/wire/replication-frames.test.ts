// docs/replication.md states the frames, their numbers and the timers as the headers of native/replication have them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const header = read('native/replication/frames.h');
const page = read('docs/replication.md');
const tables = page.split('<!-- frames -->')[1]!.split('<!-- end of frames -->')[0]!;

interface Field {
  offset: number;
  size: number;
  name: string;
}
interface Layout {
  bytes: number;
  fields: Field[];
}

/** Structs of the header, laid out as a compiler of a 64-bit machine does. */
function layoutsOfHeader(): Map<string, Layout> {
  const sizes = new Map<string, [size: number, align: number]>([
    ['uint8_t', [1, 1]],
    ['uint16_t', [2, 2]],
    ['uint32_t', [4, 4]],
    ['uint64_t', [8, 8]],
    ['FrameKind', [1, 1]],
    ['Answered', [1, 1]],
    ['MemberId', [4, 4]],
    ['Epoch', [8, 8]],
    ['Position', [8, 8]],
    ['Incarnation', [8, 8]],
    ['Digest128', [16, 8]],
  ]);
  const layouts = new Map<string, Layout>();
  for (const [, name, body] of header.matchAll(/^struct (\w+) \{(?:[^\n]*)\n(.*?)^\};/gms)) {
    const fields: Field[] = [];
    let end = 0;
    let widest = 1;
    for (const [, type, field, count] of body!.matchAll(
      /^ {4}(\w+) (\w+)(?:\[(\d+)\])?(?: = [^;]*| *\{\})?;/gm,
    )) {
      const [size, align] = sizes.get(type!) ?? expect.fail(`${name}.${field} is a ${type}`);
      end = Math.ceil(end / align) * align;
      fields.push({ offset: end, size: size * Number(count ?? 1), name: field! });
      end += size * Number(count ?? 1);
      widest = Math.max(widest, align);
    }
    const bytes = Math.ceil(end / widest) * widest;
    sizes.set(name!, [bytes, widest]);
    layouts.set(name!.replace(/(?<!^)Frame$/, ''), { bytes, fields });
  }
  return layouts;
}

function layoutsOfPage(): Map<string, Layout> {
  const layouts = new Map<string, Layout>();
  for (const part of tables.split(/^(?=\*\*\w+\*\*, \d+ bytes)/m).slice(1)) {
    const [, name, bytes] = part.match(/^\*\*(\w+)\*\*, (\d+) bytes/)!;
    const rows = [...part.matchAll(/^\| (\d+) \| (\d+) \| (\w+) \|/gm)];
    layouts.set(name!, {
      bytes: Number(bytes),
      fields: rows.map(([, offset, size, field]) => ({
        offset: Number(offset),
        size: Number(size),
        name: field!,
      })),
    });
  }
  return layouts;
}

test('the frames are those of the header, byte for byte', () => {
  const inHeader = layoutsOfHeader();
  const asserted = new Map(
    [...header.matchAll(/static_assert\(sizeof\((\w+)\) == (\d+)\)/g)].map(([, name, bytes]) => [
      name!.replace(/(?<!^)Frame$/, ''),
      Number(bytes),
    ]),
  );
  // That this test lays them out as a compiler does.
  for (const [name, bytes] of asserted) expect(inHeader.get(name)?.bytes, name).toBe(bytes);
  const onPage = layoutsOfPage();
  expect([...onPage.keys()].sort()).toEqual([...asserted.keys()].sort());
  for (const [name, layout] of onPage) expect(layout, name).toEqual(inHeader.get(name));
});

test('kinds and answers have the numbers of the header', () => {
  const kinds = [...header.matchAll(/^ {4}(\w+) = (\d+), +\/\/ .*→|^ {4}(\w+) = (\d+), +\/\/ its answer/gm)];
  const rows = [...tables.matchAll(/^\| (\d+) \| ([A-Z]\w+) \|[^|]*\|[^|]*\|$/gm)];
  expect(rows.map(([, number, name]) => [name, number])).toEqual(
    kinds.map(([, name, number, other, its]) => [name ?? other, number ?? its]),
  );
  expect(rows.length).toBe(18);
  const answers = header.split('enum class Answered')[1]!.split('};')[0]!;
  const inHeader = [...answers.matchAll(/^ {4}(\w+) = (\d+),/gm)].map(([, name, number]) => [name, number]);
  const onPage = [...tables.matchAll(/^\| (\d+) \| ([A-Z]\w+) \|[^|]*\|$/gm)];
  expect(onPage.map(([, number, name]) => [name, number])).toEqual(inHeader);
  expect(inHeader.length).toBe(8);
});

test('the timers have the values of the header', () => {
  const options = read('native/replication/replica.h') + read('native/replication/executor.h');
  const named = [...page.matchAll(/`(\w+Ns)` \((\d+) (ms|s)\)/g)];
  expect(named.length).toBeGreaterThan(5);
  for (const [, name, amount, unit] of named) {
    const value = options.match(new RegExp(`uint64_t ${name} = ([0-9']+);`))?.[1]?.replaceAll("'", '');
    expect(Number(value), name).toBe(Number(amount) * (unit === 's' ? 1e9 : 1e6));
  }
});
