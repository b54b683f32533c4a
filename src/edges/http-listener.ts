// One HTTP listener: reads requests within bounds, admits callers, calls routes, writes JSON.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Credentials, type Gate, showsCredentials } from './access.ts';
import { parseObject, toJson } from './json.ts';
import { type HttpLimits, httpLimits } from './limits.ts';
import { RequestError } from './request-error.ts';
import { type Found, type Reply, type Route, Router } from './router.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly routes: readonly Route[];
  readonly gate: Gate;
  readonly limits?: Partial<HttpLimits>;
  /** Turns whatever a route threw into a refusal; undefined: a fault of ours, 500. */
  readonly explain: (error: unknown) => RequestError | undefined;
  /** Told about every answer: the route's path (or '-'), the status, how long it took. */
  readonly onAnswer?: (route: string, status: number, elapsedMs: number) => void;
  /** Told about faults of ours: 5xx answers that we did not mean to give. */
  readonly onFault?: (error: unknown) => void;
  readonly onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

export function credentialsOf(request: IncomingMessage): Credentials {
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return typeof value === 'string' && value.length <= 256 ? value : undefined;
  };
  const bearer = /^Bearer +(\S+)$/i.exec(header('authorization') ?? '');
  return {
    key: header('verbex-key'),
    timestamp: header('verbex-timestamp'),
    signature: header('verbex-signature'),
    token: bearer?.[1],
  };
}

/** Writes a refusal onto a bare socket: malformed HTTP, a refused upgrade. */
export function refuseSocket(socket: Duplex, refusal: RequestError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const text = toJson({ error: { code: refusal.code, message: refusal.message } });
  socket.end(
    `HTTP/1.1 ${refusal.status} ${refusal.code}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    () => socket.destroy(),
  );
}

const clientErrors: Readonly<Record<string, [number, string, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'HEADERS_TOO_LARGE', 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'REQUEST_TIMEOUT', 'the request did not come in time'],
};

export class HttpListener {
  readonly #options: ListenerOptions;
  readonly #limits: HttpLimits;
  readonly #router: Router;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #answering = 0;
  #closing = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#limits = { ...httpLimits, ...options.limits };
    this.#router = new Router(options.routes);
    const { headerBytesMax, headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs } = this.#limits;
    this.#server = createServer({
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, headersTimeoutMs),
      insecureHTTPParser: false,
    });
    this.#server.maxConnections = this.#limits.connectionsMax;
    this.#server.on('request', (request, response) => void this.#serve(request, response, false));
    this.#server.on('checkContinue', (request, response) => void this.#serve(request, response, true));
    this.#server.on('checkExpectation', (request, response) => {
      this.#refuse(
        request,
        response,
        new RequestError(417, 'EXPECTATION_FAILED', 'only 100-continue is understood'),
      );
    });
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const [status, code, message] = clientErrors[error.code ?? ''] ?? [
        400,
        'MALFORMED_REQUEST',
        'this is not HTTP',
      ];
      refuseSocket(socket, new RequestError(status, code, message));
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => socket.destroy());
      if (options.onUpgrade !== undefined && !this.#closing) options.onUpgrade(request, socket, head);
      else refuseSocket(socket, new RequestError(426, 'UPGRADE_REFUSED', 'there is no stream here'));
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Rejects with the system's error (EADDRINUSE …) when the port cannot be had. */
  listen(): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, () => {
        this.#server.off('error', reject);
        resolve(this.#server.address() as AddressInfo);
      });
    });
  }

  /** Takes no more requests, lets those in work be answered (for a while), then cuts every connection. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cut = setTimeout(() => this.#cut(), this.#limits.closeTimeoutMs);
    const watch = setInterval(() => {
      if (this.#answering === 0) this.#cut();
    }, 5);
    await closed;
    clearInterval(watch);
    clearTimeout(cut);
  }

  #cut(): void {
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse, waits: boolean): Promise<void> {
    const started = performance.now();
    let path = '-';
    this.#answering++;
    response.once('close', () => {
      this.#answering--;
      this.#options.onAnswer?.(path, response.statusCode, performance.now() - started);
    });
    try {
      const found = this.#find(request);
      path = found.route.path;
      this.#write(request, response, await this.#answer(found, request, response, waits));
    } catch (error) {
      const refusal = error instanceof RequestError ? error : this.#options.explain(error);
      if (refusal === undefined) this.#options.onFault?.(error);
      this.#refuse(
        request,
        response,
        refusal ?? new RequestError(500, 'INTERNAL', 'this is our fault; it has been counted'),
      );
    }
  }

  #find(request: IncomingMessage): Found {
    const target = request.url ?? '';
    if (this.#closing) throw new RequestError(503, 'STOPPING', 'the node is being stopped');
    if (target.length > this.#limits.targetBytesMax)
      throw new RequestError(414, 'TARGET_TOO_LONG', 'the path is too long');
    const [path = ''] = target.split('?', 1);
    if (!path.startsWith('/')) throw new RequestError(400, 'INVALID_PATH', 'the path must begin with /');
    return this.#router.find(request.method ?? '', path);
  }

  async #answer(
    found: Found,
    request: IncomingMessage,
    response: ServerResponse,
    waits: boolean,
  ): Promise<Reply> {
    const { route, params } = found;
    const shown = credentialsOf(request);
    if (route.access !== 'public' && !showsCredentials(shown)) {
      throw new RequestError(401, 'UNSIGNED', 'this needs a key: see docs/http-api.md');
    }
    const bytes = await this.#read(request, response, waits);
    const target = request.url ?? '';
    const principal = this.#options.gate.admit(route.access, shown, {
      method: request.method ?? '',
      target,
      body: bytes,
      remote: request.socket.remoteAddress ?? '',
      host: request.headers.host,
    });
    if (!route.takesBody && bytes.length > 0)
      throw new RequestError(400, 'UNEXPECTED_BODY', 'no body is taken here');
    const body = bytes.length > 0 ? parseObject(textOf(bytes)) : {};
    const query = new URLSearchParams(target.slice(target.indexOf('?') + 1 || target.length));
    return await route.answer({ params, query, body, account: principal.account });
  }

  async #read(request: IncomingMessage, response: ServerResponse, waits: boolean): Promise<Buffer> {
    const most = this.#limits.bodyBytesMax;
    const tooLarge = (): RequestError =>
      new RequestError(413, 'BODY_TOO_LARGE', `a body has at most ${most} bytes`);
    if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge();
    if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') {
      throw new RequestError(415, 'ENCODING_NOT_SUPPORTED', 'send the body uncompressed');
    }
    if (waits) response.writeContinue();
    const parts: Buffer[] = [];
    let size = 0;
    return await new Promise((resolve, reject) => {
      request.on('data', (part: Buffer) => {
        size += part.length;
        if (size > most) {
          request.removeAllListeners('data');
          reject(tooLarge());
        } else parts.push(part);
      });
      request.once('end', () => resolve(Buffer.concat(parts, size)));
      request.once('error', () =>
        reject(new RequestError(400, 'INCOMPLETE_BODY', 'the body did not come to its end')),
      );
    });
  }

  #write(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
    const text = reply.type === undefined ? `${toJson(reply.body)}\n` : String(reply.body);
    if (!request.complete) {
      // The rest of the body is not wanted: it is thrown away for a moment, so that the answer gets through.
      response.setHeader('connection', 'close');
      request.on('data', () => undefined);
      setTimeout(() => request.socket.destroy(), 500).unref();
    } else if (this.#closing) response.setHeader('connection', 'close');
    response.writeHead(reply.status, {
      'content-type': reply.type ?? 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    });
    response.end(text);
  }

  #refuse(request: IncomingMessage, response: ServerResponse, refusal: RequestError): void {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    if (refusal.status === 401) response.setHeader('www-authenticate', 'Verbex-HMAC-SHA256');
    if (refusal.status === 503) response.setHeader('retry-after', '1');
    const body = { error: { code: refusal.code, message: refusal.message } };
    this.#write(request, response, { status: refusal.status, body });
  }
}

function textOf(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new RequestError(400, 'INVALID_UTF8', 'the body is not UTF-8');
  }
}
