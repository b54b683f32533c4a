// Decides who is calling: signed requests, the operator's key, the demo token.
import { adminSecret, type KeyStore } from './keys.ts';
import { RequestError } from './request-error.ts';
import type { Access, Principal } from './router.ts';
import { checkSignature, SignatureMemory, type SignedRequest, sameText } from './signature.ts';

/** What a caller shows, from HTTP headers or a WebSocket message. */
export interface Credentials {
  readonly key: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  /** authorization: Bearer … */
  readonly token: string | undefined;
}

export interface Surroundings {
  readonly method: string;
  readonly target: string;
  readonly body: Uint8Array;
  /** The address the request came from, and the host it asked for. */
  readonly remote: string;
  readonly host: string | undefined;
}

const rank: Readonly<Record<Access, number>> = { public: 0, read: 1, trade: 2, admin: 3 };

const loopback = /^(?:localhost|::1|(?:::ffff:)?127(?:\.\d{1,3}){3})$/i;

/** Whole addresses only: 127.0.0.1.example.com is somebody's name. */
export function isLoopback(address: string): boolean {
  return loopback.test(address);
}

/** A page in a browser can be made to call 127.0.0.1 under its own name; such a name is not loopback. */
function asksForLoopback(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return isLoopback(name);
}

function signedRequest(shown: Credentials, around: Surroundings): SignedRequest {
  const { key, timestamp, signature } = shown;
  if (key === undefined || timestamp === undefined || signature === undefined) {
    throw new RequestError(401, 'UNSIGNED', 'verbex-key, verbex-timestamp and verbex-signature are needed');
  }
  return { key, timestamp, signature, method: around.method, target: around.target, body: around.body };
}

/** Whether anything is shown at all: asked before a body is read. */
export function showsCredentials(shown: Credentials): boolean {
  return shown.token !== undefined || (shown.key !== undefined && shown.signature !== undefined);
}

export interface Gate {
  /** Throws 401 or 403 unless the caller may do what needs `access`. */
  admit(access: Access, shown: Credentials, around: Surroundings): Principal;
}

export const anybody: Principal = { key: '', account: '', access: 'public' };

/** The gate of the public listener. */
export class AccountGate implements Gate {
  readonly #keys: KeyStore;
  readonly #memory = new SignatureMemory();
  readonly #now: () => number;
  /** Token → account, in demo mode on loopback only. */
  readonly #demoTokens: ReadonlyMap<string, string>;

  constructor(keys: KeyStore, demoTokens: ReadonlyMap<string, string>, now: () => number = Date.now) {
    this.#keys = keys;
    this.#demoTokens = demoTokens;
    this.#now = now;
  }

  admit(access: Access, shown: Credentials, around: Surroundings): Principal {
    if (access === 'public') return anybody;
    const principal =
      shown.token === undefined ? this.#signed(shown, around) : this.#token(shown.token, around);
    if (rank[principal.access] < rank[access]) {
      throw new RequestError(403, 'ROLE_NOT_ALLOWED', `this key may ${principal.access} only`);
    }
    return principal;
  }

  #signed(shown: Credentials, around: Surroundings): Principal {
    const request = signedRequest(shown, around);
    const key = this.#keys.find(request.key);
    checkSignature(request, key?.secret, this.#memory, this.#now());
    if (key === undefined) throw new RequestError(401, 'INVALID_SIGNATURE', 'the key is unknown');
    return { key: key.key, account: key.account, access: key.role };
  }

  #token(token: string, around: Surroundings): Principal {
    const account = this.#demoTokens.get(token);
    if (account === undefined || !isLoopback(around.remote) || !asksForLoopback(around.host)) {
      throw new RequestError(
        401,
        'INVALID_TOKEN',
        'tokens count in demo mode and on loopback only: sign the request',
      );
    }
    return { key: token, account, access: 'trade' };
  }
}

/** The gate of the admin listener: requests signed by key `admin`, or the key itself as a token on loopback. */
export class AdminGate implements Gate {
  readonly #secret: string;
  readonly #memory = new SignatureMemory();
  readonly #now: () => number;

  constructor(folder: string | undefined, now: () => number = Date.now) {
    this.#secret = adminSecret(folder);
    this.#now = now;
  }

  get secret(): string {
    return this.#secret;
  }

  admit(access: Access, shown: Credentials, around: Surroundings): Principal {
    if (access === 'public') return anybody;
    if (shown.token !== undefined) {
      if (
        !sameText(shown.token, this.#secret) ||
        !isLoopback(around.remote) ||
        !asksForLoopback(around.host)
      ) {
        throw new RequestError(401, 'INVALID_TOKEN', 'the token is wrong, or does not come over loopback');
      }
    } else {
      const request = signedRequest(shown, around);
      checkSignature(request, request.key === 'admin' ? this.#secret : undefined, this.#memory, this.#now());
    }
    return { key: 'admin', account: '', access: 'admin' };
  }
}
