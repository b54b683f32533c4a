// The admin port of a member: its status and an operator's words over HTTP, for this package's commands and for whoever watches.
//
//   GET  /status                            what the member says of itself
//   POST /operator {"word", "member"}       an operator's word; 409 where the member refuses
//
// On a loopback address anybody on this machine may ask, elsewhere only who shows the token.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ClusterError, fromNative } from '../errors/errors.ts';
import type { OperatorWord } from '../native/cluster-types.ts';
import { isLoopback, type MemberDescription } from './description.ts';
import type { MemberStatus } from './member-status.ts';

const bodyBytesMax = 4096;
const words: readonly string[] = [
  ...['evict', 'readmit', 'force', 'found', 'promote', 'fenceSite', 'activateSite', 'standbySite'],
  // For drills: memory that flips.
  ...['damageState', 'damageResult', 'damageRounding'],
];

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
  /** JSON. */
  readonly status: () => string;
  readonly operator: (word: OperatorWord, member: number) => Promise<unknown>;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class AdminServer {
  readonly #options: AdminOptions;
  readonly #server: Server;

  private constructor(options: AdminOptions) {
    this.#options = options;
    this.#server = createServer({ requestTimeout: 5000, headersTimeout: 5000 });
    this.#server.maxConnections = 64;
    this.#server.on('request', (incoming, outgoing) => void this.#serve(incoming, outgoing));
  }

  /** Rejects with the system's error (EADDRINUSE …) where the port cannot be had. */
  static listen(options: AdminOptions): Promise<AdminServer> {
    const admin = new AdminServer(options);
    return new Promise((resolve, reject) => {
      admin.#server.once('error', reject);
      admin.#server.listen(options.port, options.host, () => {
        admin.#server.off('error', reject);
        resolve(admin);
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    return closed;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    let [status, text] = [200, ''];
    try {
      text = await this.#answer(incoming);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : undefined;
      const { code, message } = refusal ?? fromNative(error);
      status = refusal?.status ?? 409;
      text = JSON.stringify({ error: { code, message } });
    }
    outgoing.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    outgoing.end(`${text}\n`);
  }

  async #answer(incoming: IncomingMessage): Promise<string> {
    this.#admit(incoming);
    const route = `${incoming.method} ${incoming.url}`;
    if (route === 'GET /status') return this.#options.status();
    if (route !== 'POST /operator') throw new Refusal(404, 'UNKNOWN_ROUTE', 'there is no such path');
    const { word, member } = await bodyOf(incoming);
    if (typeof word !== 'string' || !words.includes(word))
      throw new Refusal(400, 'INVALID_FIELD', `word must be one of ${words.join(', ')}`);
    if (!Number.isInteger(member) || (member as number) < 0)
      throw new Refusal(400, 'INVALID_FIELD', 'member must be the id of one');
    await this.#options.operator(word as OperatorWord, member as number);
    return '{}';
  }

  #admit(incoming: IncomingMessage): void {
    const { token } = this.#options;
    if (token === undefined) {
      // A page in a browser can be made to call this machine under its own name; such a name is not loopback.
      const name = (incoming.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
      if (isLoopback(name) && incoming.headers.origin === undefined) return;
      throw new Refusal(403, 'INVALID_TOKEN', 'ask under a loopback address');
    }
    const shown = /^Bearer +(\S+)$/i.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    if (!timingSafeEqual(digest(shown), digest(token)))
      throw new Refusal(401, 'INVALID_TOKEN', 'show the token of this cluster');
  }
}

async function bodyOf(incoming: IncomingMessage): Promise<{ word?: unknown; member?: unknown }> {
  let text = '';
  for await (const part of incoming.setEncoding('utf8')) {
    text += String(part);
    if (text.length > bodyBytesMax) throw new Refusal(413, 'BODY_TOO_LARGE', 'the body is too large');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null)
    throw new Refusal(400, 'MALFORMED_JSON', 'the body must be an object');
  return value;
}

/** Asks the admin port of a member. Throws MEMBER_UNREACHABLE and OPERATOR_REFUSED. */
export class AdminClient {
  readonly member: Pick<MemberDescription, 'id' | 'adminHost' | 'adminPort'>;
  readonly #token: string | undefined;

  constructor(member: Pick<MemberDescription, 'id' | 'adminHost' | 'adminPort'>, token: string | undefined) {
    this.member = member;
    this.#token = token;
  }

  async status(timeoutMs = 500): Promise<MemberStatus> {
    return (await this.#ask('GET', '/status', undefined, timeoutMs)) as MemberStatus;
  }

  /** The member answers once it has begun what was asked; what becomes of it its status shows. */
  async operator(word: OperatorWord, member: number, timeoutMs = 10_000): Promise<void> {
    await this.#ask('POST', '/operator', { word, member }, timeoutMs);
  }

  #ask(method: string, path: string, body: object | undefined, timeoutMs: number): Promise<unknown> {
    const { id, adminHost, adminPort } = this.member;
    const place = `member ${id} (${adminHost}:${adminPort})`;
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        asked.destroy();
        reject(
          new ClusterError('MEMBER_UNREACHABLE', `${place} does not answer: ${why}`, { details: { id } }),
        );
      };
      const timer = setTimeout(() => fail(`not within ${timeoutMs} ms`), timeoutMs);
      const asked = request({
        host: adminHost,
        port: adminPort,
        method,
        path,
        agent: false,
        headers: this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` },
      });
      asked.on('error', (error) => fail(error.message));
      asked.on('response', (answer: IncomingMessage) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => {
          text += part;
        });
        answer.on('error', (error) => fail(error.message));
        answer.on('end', () => {
          let object: unknown;
          try {
            object = JSON.parse(text);
          } catch {
            return fail('what came is not JSON');
          }
          clearTimeout(timer);
          if (answer.statusCode === 200) return resolve(object);
          const { code, message } = (object as { error?: { code?: string; message?: string } }).error ?? {};
          reject(
            new ClusterError('OPERATOR_REFUSED', `${place}: ${message ?? `status ${answer.statusCode}`}`, {
              details: { id, reason: code },
            }),
          );
        });
      });
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
