// What the machine itself has to bring: Node, a C++20 compiler, and for the native tests CMake and
// GoogleTest. Installed by apt where that needs no question (root), otherwise named.
import { existsSync } from 'node:fs';
import { findProgram, run, StepFailed, say, seconds } from './console.mjs';
import { findCompiler } from './toolchain.mjs';

const aptTimeoutMs = 10 * 60_000;

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new StepFailed(`Node ${process.versions.node} is too old, 20.19 or later is needed`);
  }
  if (process.platform !== 'linux') throw new StepFailed(`Verbex runs on Linux, not on ${process.platform}`);
}

const headerFolders = ['/usr/include', '/usr/local/include'];

/** One entry per thing wanted: what it is, who needs it, which Debian package has it, whether it is there. */
function wantedTools(withTests) {
  const compiler = {
    what: 'a C++20 compiler',
    for: 'the engine',
    packages: ['g++'],
    found: () => findCompiler() !== undefined,
  };
  if (!withTests) return [compiler];
  return [
    compiler,
    {
      what: 'cmake',
      for: 'native tests',
      packages: ['cmake'],
      found: () => findProgram('cmake') !== undefined,
    },
    {
      what: 'ninja or make',
      for: 'native tests',
      packages: ['ninja-build'],
      found: () => findProgram('ninja') !== undefined || findProgram('make') !== undefined,
    },
    {
      what: 'GoogleTest',
      for: 'native tests',
      packages: ['libgtest-dev'],
      found: () => headerFolders.some((folder) => existsSync(`${folder}/gtest/gtest.h`)),
    },
  ];
}

function command(tools) {
  return `apt-get install -y --no-install-recommends ${tools.flatMap((tool) => tool.packages).join(' ')}`;
}

async function installWithApt(tools) {
  const started = performance.now();
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const common = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=2'];
  say(`system: ${command(tools)}`);
  for (const args of [['update'], command(tools).split(' ').slice(1)]) {
    const result = await run('apt-get', [...common, ...args], {
      env,
      output: 'keep',
      label: `apt-get ${args[0]}`,
      timeoutMs: aptTimeoutMs,
    });
    if (result.code !== 0) {
      say(result.text.trimEnd());
      say(`system: apt-get ${args[0]} failed`);
      // An update that fails for one source of many may still have brought what is needed.
      if (args[0] !== 'update') return;
    }
  }
  say(`system: apt-get done in ${seconds(started)}`);
}

/**
 * Makes sure of the system's parts.
 * @returns the parts that have to be skipped: [{ part, missing, command }]
 */
export async function provideTools({ withTests }) {
  const missing = () => wantedTools(withTests).filter((tool) => !tool.found());
  const wanted = missing();
  if (wanted.length === 0) return [];
  say(`system: missing ${wanted.map((tool) => tool.what).join(', ')}`);
  if (process.getuid() === 0 && findProgram('apt-get') !== undefined && process.env.VERBEX_NO_APT !== '1') {
    await installWithApt(wanted);
  }
  const left = missing();
  const byHand = `sudo ${command(left)}`;
  if (left.some((tool) => tool.for === 'the engine')) {
    throw new StepFailed(`no C++20 compiler found, and nothing works without one; run:\n  ${byHand}`);
  }
  if (left.length === 0) return [];
  return [{ part: 'native tests', missing: left.map((tool) => tool.what), command: byHand }];
}

/** The block nobody can overlook. */
export function saySkipped(skipped) {
  if (skipped.length === 0) return;
  const bar = '!'.repeat(78);
  say(`\n${bar}`);
  for (const { part, missing, command: toRun } of skipped) {
    say(`!! SKIPPED: ${part}. Missing: ${missing.join(', ')}. To have them, run:\n!!   ${toRun}`);
  }
  say(`${bar}\n`);
}
