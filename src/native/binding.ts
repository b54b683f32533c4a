// Loads the addon. Importing this file throws ADDON_NOT_BUILT where there is none, so the package imports it when it is needed.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NativeError } from '../errors/errors.ts';
import type {
  Addon,
  Layout,
  NativeBridge as NativeBridgeObject,
  NativeBus as NativeBusObject,
  NativeClusterLoad as NativeClusterLoadObject,
  NativeCore as NativeCoreObject,
  NativeLoad as NativeLoadObject,
  NativeMember as NativeMemberObject,
  NativeNode as NativeNodeObject,
  NativeRole as NativeRoleObject,
} from './types.ts';

export type * from './types.ts';

const require = createRequire(import.meta.url);
// The same two steps up from src/native and from dist/native.
const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Where the addon lies: VERBEX_ADDON, else what was built here, else what came prebuilt. */
export function addonPath(): string {
  const given = process.env.VERBEX_ADDON;
  if (given !== undefined && given !== '') return resolve(given);
  const built = join(packageRoot, 'build', 'Release', 'verbex.node');
  if (existsSync(built)) return built;
  try {
    return (require('node-gyp-build') as { path(folder: string): string }).path(packageRoot);
  } catch (cause) {
    throw notBuilt(`there is neither ${built} nor a prebuilt one for this machine`, cause);
  }
}

function notBuilt(why: string, cause: unknown): NativeError {
  return new NativeError('ADDON_NOT_BUILT', `the native addon cannot be loaded: ${why}; run: npm run setup`, {
    cause,
  });
}

/** Loads the addon of that path. Throws ADDON_NOT_BUILT. */
export function loadAddon(path: string): Addon {
  try {
    return require(path) as Addon;
  } catch (cause) {
    throw notBuilt(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

const addon: Addon = loadAddon(addonPath());

export const NativeCore: Addon['NativeCore'] = addon.NativeCore;
export type NativeCore = NativeCoreObject;
export const NativeNode: Addon['NativeNode'] = addon.NativeNode;
export type NativeNode = NativeNodeObject;
export const NativeBus: Addon['NativeBus'] = addon.NativeBus;
export type NativeBus = NativeBusObject;
export const NativeLoad: Addon['NativeLoad'] = addon.NativeLoad;
export type NativeLoad = NativeLoadObject;
export const NativeMember: Addon['NativeMember'] = addon.NativeMember;
export type NativeMember = NativeMemberObject;
export const NativeBridge: Addon['NativeBridge'] = addon.NativeBridge;
export type NativeBridge = NativeBridgeObject;
export const NativeRole: Addon['NativeRole'] = addon.NativeRole;
export type NativeRole = NativeRoleObject;
export const NativeClusterLoad: Addon['NativeClusterLoad'] = addon.NativeClusterLoad;
export type NativeClusterLoad = NativeClusterLoadObject;
export const simulateCluster: Addon['simulateCluster'] = addon.simulateCluster;
export const clusterMutants: Addon['clusterMutants'] = addon.clusterMutants;
export const journalVerify: Addon['journalVerify'] = addon.journalVerify;
export const journalRead: Addon['journalRead'] = addon.journalRead;
export const recover: Addon['recover'] = addon.recover;
export const recoverFrom: Addon['recoverFrom'] = addon.recoverFrom;
export const explainAt: Addon['explainAt'] = addon.explainAt;
export const threadPlan: Addon['threadPlan'] = addon.threadPlan;
export const roundingSoak: Addon['roundingSoak'] = addon.roundingSoak;
export const hostFacts: Addon['hostFacts'] = addon.hostFacts;
export const layout: Layout = addon.layout;
export const version: string = addon.version;
export const compiler: string = addon.compiler;
export const coverage: boolean = addon.coverage;
