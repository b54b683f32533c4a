// A small clone in a temporary folder: the real scripts, this tree's node_modules, sources of the
// test's choosing. What the setup does there leaves this tree alone.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const copied = ['scripts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Clone {
  readonly root: string = mkdtempSync(join(tmpdir(), 'verbex-setup-'));

  constructor(files: Readonly<Record<string, string>>) {
    for (const name of copied) cpSync(join(repository, name), join(this.root, name), { recursive: true });
    symlinkSync(join(repository, 'node_modules'), join(this.root, 'node_modules'));
    for (const [path, text] of Object.entries({ 'native/sources.txt': '# none\n', ...files })) {
      this.write(path, text);
    }
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  start(script: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn(process.execPath, [join('scripts', script), ...args], {
      cwd: this.root,
      env: { ...process.env, CXXFLAGS: '', LDFLAGS: '', VERBEX_REQUIRE_ALL: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  run(script: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return ended(this.start(script, args, env));
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function ended(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
