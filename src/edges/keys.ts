// API keys: who may sign, for which account. Kept in keys.json beside the journal, readable by its owner only.
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { VerbexError } from '../errors/errors.ts';
import { keysMax } from './limits.ts';
import { RequestError } from './request-error.ts';

export type Role = 'read' | 'trade';

export interface ApiKey {
  readonly key: string;
  /** Signing needs the secret itself, so it is stored as it is: protect the file. */
  readonly secret: string;
  readonly account: string;
  readonly role: Role;
  /** ISO 8601. */
  readonly created: string;
}

/** A key without its secret. */
export type ApiKeyView = Omit<ApiKey, 'secret'>;

/** A file of keys that cannot be read for what it is. */
export class KeyFileError extends VerbexError {
  constructor(message: string) {
    super('KEYS_DAMAGED', message);
  }
}

/** Whole or not at all: written beside, synced, renamed over the old one, and the folder synced. */
function writeWhole(path: string, text: string): void {
  const beside = `${path}.new`;
  const file = openSync(beside, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function isApiKey(value: unknown): value is ApiKey {
  const key = value as ApiKey;
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof key.key === 'string' &&
    typeof key.secret === 'string' &&
    key.secret.length >= 32 &&
    typeof key.account === 'string' &&
    (key.role === 'read' || key.role === 'trade') &&
    typeof key.created === 'string'
  );
}

/** All keys, in memory and (with a folder) on disk. A change is on disk before it counts. */
export class KeyStore {
  readonly #path: string | undefined;
  readonly #keys = new Map<string, ApiKey>();

  constructor(folder: string | undefined) {
    this.#path = folder === undefined ? undefined : join(folder, 'keys.json');
    if (this.#path === undefined || !existsSync(this.#path)) return;
    chmodSync(this.#path, 0o600);
    let stored: unknown;
    try {
      stored = JSON.parse(readFileSync(this.#path, 'utf8'));
    } catch (error) {
      throw new KeyFileError(`${this.#path} is not JSON: ${(error as Error).message}`);
    }
    const { version, keys } = (stored ?? {}) as { version?: unknown; keys?: unknown };
    if (version !== 1 || !Array.isArray(keys) || !keys.every(isApiKey)) {
      throw new KeyFileError(`${this.#path} is not a list of keys of version 1`);
    }
    for (const key of keys) this.#keys.set(key.key, key);
  }

  find(key: string): ApiKey | undefined {
    return this.#keys.get(key);
  }

  list(): ApiKeyView[] {
    return [...this.#keys.values()].map(({ secret: _, ...view }) => view);
  }

  create(account: string, role: Role): ApiKey {
    if (this.#keys.size >= keysMax)
      throw new RequestError(429, 'TOO_MANY_KEYS', `there are ${keysMax} keys already`);
    const key: ApiKey = {
      key: `vx-${randomBytes(9).toString('base64url')}`,
      secret: randomBytes(32).toString('hex'),
      account,
      role,
      created: new Date().toISOString(),
    };
    this.#save([...this.#keys.values(), key]);
    this.#keys.set(key.key, key);
    return key;
  }

  revoke(key: string): void {
    if (!this.#keys.has(key)) throw new RequestError(404, 'UNKNOWN_KEY', 'there is no such key');
    this.#save([...this.#keys.values()].filter((one) => one.key !== key));
    this.#keys.delete(key);
  }

  #save(keys: readonly ApiKey[]): void {
    if (this.#path !== undefined)
      writeWhole(this.#path, `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`);
  }
}

/** The operator's key, made at the first start; without a folder a new one each time. */
export function adminSecret(folder: string | undefined): string {
  if (folder === undefined) return randomBytes(32).toString('hex');
  const path = join(folder, 'admin.key');
  if (!existsSync(path)) {
    const secret = randomBytes(32).toString('hex');
    writeWhole(path, `${secret}\n`);
    return secret;
  }
  chmodSync(path, 0o600);
  const secret = readFileSync(path, 'utf8').trim();
  if (!/^[\x21-\x7e]{32,}$/.test(secret))
    throw new KeyFileError(`${path} holds no key of at least 32 characters`);
  return secret;
}
