// The system under test: the addon's class NativeCore, or anything that answers in the same way.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Model } from '../oracle/model.ts';
import type { Limits } from '../oracle/state.ts';
import { asBuffer, CELL, decodeCommand, encodeEvents } from '../oracle/wire.ts';

export interface Core {
  // The events of the first `count` commands, 128 bytes each.
  apply(commands: Uint8Array, count: number): Uint8Array;
  explain(): string;
  position(): number | bigint;
}

export interface HashedCore extends Core {
  hash(): string;
  save(): Uint8Array;
}

export interface NativeCoreClass {
  new (limits: Limits): HashedCore;
  load(bytes: Uint8Array, limits: Limits): HashedCore;
  // Only in the fuzz build: 64 KiB of hit counts, live.
  coverage?(): Uint8Array;
  resetCoverage?(): void;
}

// The repository: this file runs both from test/fuzz and, compiled, from build/fuzz-js/fuzz.
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

// The addon's class; undefined where that addon is not built.
export function loadCore(build: 'release' | 'fuzz'): NativeCoreClass | undefined {
  const file = build === 'fuzz' ? 'build/Fuzz/verbex_fuzz.node' : 'build/Release/verbex.node';
  const path = join(repositoryRoot(), file);
  if (!existsSync(path)) return undefined;
  const addon = createRequire(import.meta.url)(path) as { NativeCore: NativeCoreClass };
  return addon.NativeCore;
}

// A model in the place of the core: what the comparison itself is tested with.
export class ModelCore implements Core {
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  apply(commands: Uint8Array, count: number): Uint8Array {
    const cells = asBuffer(commands);
    const parts: Buffer[] = [];
    for (let i = 0; i < count; i++)
      parts.push(encodeEvents(this.#model.apply(decodeCommand(cells, i * CELL))));
    return Buffer.concat(parts);
  }

  explain(): string {
    return this.#model.explain();
  }

  position(): number {
    return Number(this.#model.position);
  }
}
