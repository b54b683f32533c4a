// EtcdGateway: calls of etcd's JSON gateway (v3), over several endpoints of one cluster.
//
// Which endpoint is asked changes when one fails. A call that may take effect only once goes to the next endpoint only while no byte of it
// can have been sent; everything else that goes wrong leaves it open, and the answer says so.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface EtcdOptions {
  /** http:// or https:// URLs. */
  readonly endpoints: readonly string[];
  /** Of a call over all endpoints. */
  readonly timeoutMs?: number;
  readonly user?: string;
  readonly password?: string;
  /** PEM: whom to trust, and who we are. */
  readonly authority?: string;
  readonly certificate?: string;
  readonly certificateKey?: string;
}

export type EtcdAnswer =
  | { readonly kind: 'answer'; readonly body: Record<string, unknown> }
  /** `sent`: it may have taken effect. */
  | { readonly kind: 'failed'; readonly sent: boolean; readonly why: string };

const answerBytesMax = 1 << 20;
const attemptMsMin = 100;
/** gRPC's number for a token that is none, or no longer one. */
const unauthenticated = 16;
const silentMs = 10_000;

export class EtcdGateway {
  readonly #options: EtcdOptions;
  readonly #endpoints: readonly URL[];
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent };
  readonly #timeoutMs: number;
  #preferred = 0;
  #token: string | undefined;

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#endpoints = options.endpoints.map((endpoint) => new URL(endpoint));
    this.#timeoutMs = options.timeoutMs ?? 1000;
    const { authority: ca, certificate: cert, certificateKey: key } = options;
    const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
    this.#agents = {
      http: new HttpAgent({ keepAlive: true, maxSockets: 8 }),
      https: new HttpsAgent({ keepAlive: true, maxSockets: 8, ...tls }),
    };
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** `repeatable`: reads, which the next endpoint may be asked whatever became of the first. */
  async call(
    path: string,
    body: object,
    { repeatable }: { readonly repeatable: boolean },
  ): Promise<EtcdAnswer> {
    const until = performance.now() + this.#timeoutMs;
    const attemptMs = Math.max(attemptMsMin, this.#timeoutMs / this.#endpoints.length);
    let failed: EtcdAnswer = { kind: 'failed', sent: false, why: 'there is no endpoint' };
    // Every endpoint once, and once more the one that wanted a new token.
    for (let attempt = 0; attempt <= this.#endpoints.length; attempt += 1) {
      const leftMs = Math.min(attemptMs, until - performance.now());
      if (leftMs <= 0) break;
      const token = await this.#authorization(leftMs);
      const answer = token.kind === 'failed' ? token : await this.#post(path, body, token.value, leftMs);
      if (answer.kind === 'answer') return answer;
      failed = answer;
      if ('refusedToken' in answer) {
        this.#token = undefined;
        continue;
      }
      this.#preferred = (this.#preferred + 1) % this.#endpoints.length;
      if (answer.sent && !repeatable) return answer;
    }
    return failed;
  }

  /** Hands on each message of a stream until it ends, or nothing came for a while, or `signal` says so; answers why. */
  stream(
    path: string,
    body: object,
    signal: AbortSignal,
    onMessage: (message: unknown) => void,
  ): Promise<string> {
    return new Promise((resolve) => {
      const text = JSON.stringify(body);
      const request = this.#request(path, text, this.#token);
      const end = (why: string): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        request.destroy();
        resolve(why);
      };
      const stop = (): void => end('closed');
      let timer = setTimeout(() => end('silent'), silentMs);
      signal.addEventListener('abort', stop);
      if (signal.aborted) return stop();
      request.on('error', (error) => end(error.message));
      request.on('response', (response: IncomingMessage) => {
        let rest = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          clearTimeout(timer);
          timer = setTimeout(() => end('silent'), silentMs);
          const lines = (rest + part).split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > answerBytesMax) return end('a message is too long');
          for (const line of lines) {
            const message = parsed(line);
            if (message !== undefined) onMessage(message);
          }
        });
        response.on('error', (error) => end(error.message));
        response.on('close', () => end(`the stream ended (status ${response.statusCode})`));
      });
      request.end(text);
    });
  }

  async #authorization(
    timeoutMs: number,
  ): Promise<
    | { readonly kind: 'token'; readonly value: string | undefined }
    | { readonly kind: 'failed'; readonly sent: false; readonly why: string }
  > {
    const { user: name, password } = this.#options;
    if (name === undefined || this.#token !== undefined) return { kind: 'token', value: this.#token };
    const answer = await this.#post('/v3/auth/authenticate', { name, password }, undefined, timeoutMs);
    if (answer.kind === 'failed') return { kind: 'failed', sent: false, why: `log-in: ${answer.why}` };
    const { token } = answer.body;
    if (typeof token !== 'string') return { kind: 'failed', sent: false, why: 'log-in: no token came' };
    this.#token = token;
    return { kind: 'token', value: token };
  }

  #request(path: string, text: string, token: string | undefined): ReturnType<typeof httpRequest> {
    const endpoint = this.#endpoints[this.#preferred]!;
    const secure = endpoint.protocol === 'https:';
    return (secure ? httpsRequest : httpRequest)(new URL(path, endpoint), {
      method: 'POST',
      agent: secure ? this.#agents.https : this.#agents.http,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
        ...(token !== undefined && { authorization: token }),
      },
    });
  }

  #post(
    path: string,
    body: object,
    token: string | undefined,
    timeoutMs: number,
  ): Promise<EtcdAnswer | (EtcdAnswer & { readonly refusedToken: true })> {
    return new Promise((resolve) => {
      const text = JSON.stringify(body);
      const endpoint = this.#endpoints[this.#preferred]!.host;
      const request = this.#request(path, text, token);
      let sent = false;
      const fail = (why: string): void => {
        clearTimeout(timer);
        resolve({ kind: 'failed', sent, why: `etcd at ${endpoint}: ${why}` });
        request.destroy();
      };
      const timer = setTimeout(() => fail(`no answer within ${Math.round(timeoutMs)} ms`), timeoutMs);
      request.on('socket', (socket) => {
        if (!socket.connecting) sent = true;
        else {
          socket.once('connect', () => {
            sent = true;
          });
        }
      });
      request.on('error', (error) => fail(error.message));
      request.on('response', (response: IncomingMessage) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        response.on('data', (part: Buffer) => {
          bytes += part.length;
          if (bytes > answerBytesMax) fail('the answer is too long');
          else parts.push(part);
        });
        response.on('error', (error) => fail(error.message));
        response.on('aborted', () => fail('the answer was cut off'));
        response.on('end', () => {
          clearTimeout(timer);
          const answer = Buffer.concat(parts).toString('utf8');
          const object = parsed(answer);
          if (response.statusCode === 200 && object !== undefined)
            return resolve({ kind: 'answer', body: object });
          const { code, error } = (object ?? parsed(firstObject(answer)) ?? {}) as {
            code?: unknown;
            error?: unknown;
          };
          const why = `etcd at ${endpoint}: ${typeof error === 'string' ? error : `status ${response.statusCode}`}`;
          if (code === unauthenticated && token !== undefined)
            return resolve({ kind: 'failed', sent: false, why, refusedToken: true });
          resolve({ kind: 'failed', sent, why });
        });
      });
      request.end(text);
    });
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The gateway of etcd 3.4 writes trailers behind an error's object. */
function firstObject(text: string): string {
  return text.slice(0, text.indexOf('}') + 1);
}
