// The C++ compiler and its flags: the one place that knows them for the addon.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, root, StepFailed } from './console.mjs';

export const headerFolders = ['/usr/include', '/usr/local/include'];

/** Whether the verbs transport can be built. Sources ask the compiler, which notes no file that was not there. */
export function hasVerbsHeaders() {
  return headerFolders.some((folder) => existsSync(`${folder}/infiniband/verbs.h`));
}

export const installCompiler = 'apt-get update && apt-get install -y g++';

function words(text) {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

/** CXX (it may carry arguments, as in "ccache g++"), else the first compiler found. */
export function findCompiler() {
  const wanted = words(process.env.CXX);
  if (wanted.length > 0) {
    const path = findProgram(wanted[0]);
    if (path === undefined) throw new StepFailed(`CXX names ${wanted[0]}, which is not on PATH`);
    return { path, args: wanted.slice(1) };
  }
  for (const name of ['g++', 'clang++', 'c++']) {
    const path = findProgram(name);
    if (path !== undefined) return { path, args: [] };
  }
  return undefined;
}

/**
 * g++ collects its garbage every few megabytes by default, for a tenth of its time; here it has the memory for none. clang refuses to
 * be told.
 */
function spareCollections({ path, args }) {
  const { stdout } = spawnSync(path, [...args, '--version'], { encoding: 'utf8' });
  if (/clang/i.test(stdout ?? 'clang')) return [];
  return ['--param', 'ggc-min-expand=100', '--param', 'ggc-min-heapsize=1000000'];
}

const precompiledHeader = 'native/base/precompiled.h';
const released = ['-O3', '-DNDEBUG'];

export const variants = {
  release: { file: 'build/Release/verbex.node', name: 'verbex', flags: released, traced: [] },
  debug: { file: 'build/Debug/verbex.node', name: 'verbex', flags: ['-O0', '-g'], traced: [] },
  // Coverage-guided differential fuzzing from JavaScript: the rooms under test report every edge to
  // __sanitizer_cov_trace_pc, which the addon room defines when VERBEX_COVERAGE is set.
  fuzz: {
    file: 'build/Fuzz/verbex_fuzz.node',
    name: 'verbex_fuzz',
    flags: ['-O2', '-g1', '-DVERBEX_COVERAGE=1'],
    traced: ['core', 'book', 'risk', 'wire'],
  },
  // Benchmarks without Node: programs of their own, of the very objects that the addon is made of.
  bench: {
    file: 'build/bench',
    name: 'verbex',
    flags: released,
    traced: [],
    program: true,
    objectsOf: 'release',
  },
};

/** Undefined before npm's packages are installed: the rooms' objects do not need them. */
function packageVersion(name) {
  const path = join(root, 'node_modules', name, 'package.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).version : undefined;
}

function keyOf(facts) {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 12);
}

/**
 * Everything that decides what an object file looks like, and a folder for them that is another one whenever it changes.
 * The addon room has one of its own: it alone is made of npm's headers too, so the native tests share all others without npm.
 *
 * Node-API's headers come from npm, so that the build is the same whether or not Node's own headers
 * lie beside the running executable, and needs neither a download nor make nor Python.
 */
export function toolchain(variantName, compiler) {
  const variant = variants[variantName];
  const compile = [
    '-std=c++20',
    '-fPIC',
    '-pthread',
    '-fvisibility=hidden',
    '-fvisibility-inlines-hidden',
    '-fno-plt',
    // A fused multiply-add rounds once where two operations round twice: results must not depend on the host.
    '-ffp-contract=off',
    ...spareCollections(compiler),
    '-Wall',
    '-Wextra',
    ...(process.env.VERBEX_WERROR === '1' ? ['-Werror'] : []),
    '-Inative',
    ...variant.flags,
  ];
  const benchOnly = ['-Ibench/native'];
  const addonOnly = [
    '-isystem',
    'node_modules/node-api-headers/include',
    '-isystem',
    'node_modules/node-addon-api',
    '-DNAPI_VERSION=9',
    '-DNODE_ADDON_API_CPP_EXCEPTIONS',
    `-DNODE_GYP_MODULE_NAME=${variant.name}`,
  ];
  const extra = words(process.env.CXXFLAGS);
  const link = [
    ...(variant.program ? [] : ['-shared']),
    '-pthread',
    '-Wl,-z,now',
    '-Wl,-z,relro',
    ...words(process.env.LDFLAGS),
  ];
  const compilerFile = statSync(compiler.path);
  const key = keyOf([
    [compiler.path, compiler.args, compilerFile.size, compilerFile.mtimeMs],
    [compile, benchOnly, extra, variant.traced],
    hasVerbsHeaders(),
    process.arch,
  ]);
  const addonKey = keyOf([addonOnly, ['node-api-headers', 'node-addon-api'].map(packageVersion)]);
  const commonArgs = [...compiler.args, ...compile, ...extra];
  const objectsOf = variant.objectsOf ?? variantName;
  const folder = `build/obj/${objectsOf}-${key}`;
  // Only there: every other build shows a source that does not name what it uses.
  const isRelease = objectsOf === 'release';
  return {
    variant,
    folder,
    objectOf(source) {
      const place = source.startsWith('addon/') ? `${folder}/addon-${addonKey}` : folder;
      return `${place}/${source.replace(/\.cpp$/, '.o')}`;
    },
    sanitized: extra.some((flag) => flag.startsWith('-fsanitize=')),
    commonArgs,
    precompiled:
      isRelease && existsSync(join(root, precompiledHeader))
        ? { from: precompiledHeader, to: `${folder}/precompiled.h` }
        : undefined,
    // How many sources of a room make one object: for two fifths less of the compiler's time.
    together: isRelease ? 4 : 1,
    compileArgs(source) {
      const room = source.slice(0, source.indexOf('/'));
      return [
        ...commonArgs,
        ...(room === 'addon' ? addonOnly : []),
        ...(room === 'bench' ? benchOnly : []),
        ...(variant.traced.includes(room) ? ['-fsanitize-coverage=trace-pc'] : []),
      ];
    },
    linkArgs(objects, output) {
      return [...compiler.args, ...variant.flags, ...extra, ...objects, ...link, '-o', output];
    },
  };
}
