// What the machine itself has to bring: Node, a C++20 compiler, for the native tests CMake and GoogleTest,
// a decoder of network captures, an etcd for clusters, Go for a checker of histories, for the verbs transport the headers of libibverbs. Installed by apt where that needs no question (root), otherwise named.
import { existsSync } from 'node:fs';
import { findProgram, run, StepFailed, say, seconds } from './console.mjs';
import { findCompiler, hasVerbsHeaders, headerFolders } from './toolchain.mjs';

const aptTimeoutMs = 10 * 60_000;

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new StepFailed(`Node ${process.versions.node} is too old, 20.19 or later is needed`);
  }
  if (process.platform !== 'linux') throw new StepFailed(`Verbex runs on Linux, not on ${process.platform}`);
}

export const nativeTests = 'native tests';
export const verbsTests = 'verbs tests (soft-RoCE)';
export const decoderTests = 'tests with tshark, a decoder that nobody here wrote';
export const etcdTests = 'tests of clusters with etcd, killed and restarted';
export const checkerTests = 'tests with porcupine, a checker of histories that nobody here wrote';
export const wireTests = 'tests that cut a wire between network namespaces';

/** One entry per thing wanted: what it is, who needs it, which Debian package has it, whether it is there. */
function wantedTools({ withTests, withVerbs }) {
  const compiler = {
    what: 'a C++20 compiler',
    for: 'the engine',
    packages: ['g++'],
    found: () => findCompiler() !== undefined,
  };
  const headers = {
    what: 'the headers of libibverbs',
    for: verbsTests,
    packages: ['libibverbs-dev'],
    found: hasVerbsHeaders,
  };
  const wire = {
    what: 'ip and nft',
    for: wireTests,
    packages: ['iproute2', 'nftables'],
    // A user's PATH seldom leads to /usr/sbin.
    found: () =>
      ['ip', 'nft'].every(
        (name) => findProgram(name) !== undefined || findProgram(`/usr/sbin/${name}`) !== undefined,
      ),
  };
  const optional = withVerbs ? [headers] : [];
  if (!withTests) return [compiler, ...optional];
  return [
    compiler,
    ...optional,
    {
      what: 'cmake',
      for: nativeTests,
      packages: ['cmake'],
      found: () => findProgram('cmake') !== undefined,
    },
    {
      what: 'ninja or make',
      for: nativeTests,
      packages: ['ninja-build'],
      found: () => findProgram('ninja') !== undefined || findProgram('make') !== undefined,
    },
    {
      what: 'GoogleTest',
      for: nativeTests,
      packages: ['libgtest-dev'],
      found: () => headerFolders.some((folder) => existsSync(`${folder}/gtest/gtest.h`)),
    },
    {
      what: 'tshark',
      for: decoderTests,
      packages: ['tshark'],
      found: () => findProgram('tshark') !== undefined,
    },
    {
      what: 'etcd',
      for: etcdTests,
      packages: ['etcd-server'],
      found: () => findProgram('etcd') !== undefined,
    },
    {
      what: 'openssl',
      for: etcdTests,
      packages: ['openssl'],
      found: () => findProgram('openssl') !== undefined,
    },
    {
      what: 'go',
      for: checkerTests,
      packages: ['golang-go'],
      found: () => findProgram('go') !== undefined,
    },
    ...(withVerbs ? [wire] : []),
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
export async function provideTools({ withTests, withVerbs }) {
  const missing = () => wantedTools({ withTests, withVerbs }).filter((tool) => !tool.found());
  const wanted = missing();
  if (wanted.length === 0) return [];
  say(`system: missing ${wanted.map((tool) => tool.what).join(', ')}`);
  if (process.getuid() === 0 && findProgram('apt-get') !== undefined && process.env.VERBEX_NO_APT !== '1') {
    await installWithApt(wanted);
  }
  const left = missing();
  if (left.some((tool) => tool.for === 'the engine')) {
    throw new StepFailed(
      `no C++20 compiler found, and nothing works without one; run:\n  sudo ${command(left)}`,
    );
  }
  return [nativeTests, decoderTests, etcdTests, checkerTests, verbsTests, wireTests].flatMap((part) => {
    const tools = left.filter((tool) => tool.for === part);
    if (tools.length === 0) return [];
    return [{ part, missing: tools.map((tool) => tool.what), command: `sudo ${command(tools)}` }];
  });
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
