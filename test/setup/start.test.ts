import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Clone, ended } from './clone.ts';

// Stands in for the node: says how it was called, and what it was told.
const program = `export {};
const timer = setInterval(() => undefined, 1000);
process.on('SIGINT', () => {
  console.log('interrupted');
  setTimeout(() => clearInterval(timer), 800);
});
console.log('called', process.argv.slice(2).join(' '));
`;
const main = { 'src/cli/main.ts': program, 'src/console/page.html': '<p>page</p>\n' };

describe('npm start', () => {
  test('builds, runs the demo, and hands on one Ctrl-C once', async () => {
    using clone = new Clone(main);
    const child = clone.start('start.mjs', ['--port', '0']);
    const end = ended(child);
    await new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()));
    // As from a terminal under npm: the terminal's signal and the one that npm hands on.
    child.kill('SIGINT');
    await sleep(20);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await end;
    expect(stdout).toBe('called run --demo --port 0\ninterrupted\n');
    expect(stderr).toContain('dist/ built');
    expect(code).toBe(0);
    expect(existsSync(join(clone.root, 'dist/console/page.html'))).toBe(true);
  });

  test('leaves the crowd out when told so, and has nothing to build the second time', async () => {
    const text = "console.log('called', process.argv.slice(2).join(' '));\n";
    using clone = new Clone({ 'src/cli/main.ts': `export {};\n${text}` });
    expect((await clone.run('start.mjs', ['--no-demo'])).stdout).toBe('called run --no-demo\n');
    const again = await clone.run('start.mjs', ['--no-demo']);
    expect(again.stderr).not.toContain('typescript:');
    expect(again.stdout).toBe('called run --no-demo\n');
    rmSync(join(clone.root, 'dist'), { recursive: true });
    expect((await clone.run('start.mjs', ['--no-demo'])).stdout).toBe('called run --no-demo\n');
  });

  test('a type error fails the build and leaves the last good dist/', async () => {
    using clone = new Clone({ 'src/cli/main.ts': "console.log('good');\nexport {};\n" });
    await clone.run('start.mjs');
    clone.write('src/cli/main.ts', "const x: number = 'bad';\nexport {};\n");
    const bad = await clone.run('start.mjs');
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain('TS2322');
    expect(existsSync(join(clone.root, 'dist/cli/main.js'))).toBe(true);
  });
});
