// npm run lint | npm run format: Biome for TypeScript, JavaScript and JSON, clang-format for C++ where it is installed.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, main, root, run, say } from './steps/console.mjs';

function nativeFiles() {
  return ['native', 'test/native', 'test/fuzz', 'bench/native']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true }).map((path) => `${folder}/${path}`),
    )
    .filter((path) => /\.(h|cpp)$/.test(path))
    .sort();
}

await main(async (args) => {
  const write = args.includes('--write');
  const biome = join(root, 'node_modules', '.bin', 'biome');
  const { code } = await run(biome, write ? ['check', '--write', '.'] : ['check', '.'], {
    output: 'inherit',
  });
  const clangFormat = findProgram('clang-format');
  const files = nativeFiles();
  if (clangFormat === undefined) {
    say(
      'lint: clang-format is not installed, the layout of C++ is not checked (apt-get install -y clang-format)',
    );
    return code;
  }
  if (files.length === 0) return code;
  const formatArgs = write ? ['-i'] : ['--dry-run', '--Werror'];
  const native = await run(clangFormat, [...formatArgs, ...files], { output: 'inherit' });
  return code === 0 ? native.code : code;
});
