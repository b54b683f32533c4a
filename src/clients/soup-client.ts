// SoupClient: one user's session over SoupBinTCP 3.0, plain or inside TLS, whatever its messages say.
//
// What a caller may rely on:
// 1. Sequenced messages come in order, each once, over all reconnects: their numbers are the session's.
// 2. Nothing that was given to send() is sent twice; what was given while there was no connection is not sent at all (send() answers false).
// 3. `ended` settles exactly once, and after it nothing is called any more.
import { connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { integer, invalidOption } from '../errors/checks.ts';
import { GatewayError } from '../errors/errors.ts';
import {
  FrameReader,
  frame,
  frameHeaderBytes,
  loginFrame,
  packets,
  payloadBytesMax,
  readLoginAccepted,
} from './soup-codec.ts';

export interface ReconnectOptions {
  /** Milliseconds before the first attempt; doubled after each, up to mostMs, and shortened at random by up to a half. */
  readonly firstMs?: number;
  readonly mostMs?: number;
  /** In a row without a login; one more, and the client ends. */
  readonly attemptsMax?: number;
}

export interface SoupOptions {
  /** "host:port". */
  readonly address: string;
  readonly user: string;
  readonly password: string;
  /** The session to log in to; left out: whichever is current. */
  readonly session?: string;
  /** The next sequenced message wanted, from 1 on (the default); 0: only what comes from now on. */
  readonly sequence?: number;
  /** True, or what node:tls takes: where a TLS proxy stands in front of the port. */
  readonly tls?: boolean | ConnectionOptions;
  /** Whether, and how, a lost connection is made again. Default: yes. The first connection is tried once. */
  readonly reconnect?: boolean | ReconnectOptions;
  readonly loginTimeoutMs?: number;
  /** A heartbeat where nothing else was sent for so long. */
  readonly heartbeatMs?: number;
  /** The connection counts as lost when nothing came for so long. */
  readonly silenceMs?: number;
}

export interface SoupLoggedIn {
  readonly session: string;
  /** Of the next message that will come. */
  readonly sequence: number;
  /** False for the first login. */
  readonly resumed: boolean;
}

/** Who hears of what comes. A handler that throws ends the client. */
export interface SoupHandler {
  /** The bytes are good during the call; copy what is to be kept. */
  message(payload: Buffer, sequence: number): void;
  loggedIn?(login: SoupLoggedIn): void;
  /** The connection is lost; another one will be tried. */
  disconnected?(error: GatewayError): void;
}

export interface SoupEnd {
  /** 'logout': close() was called; 'end-of-session': the other side has ended it; 'failed': see `error`. */
  readonly reason: 'logout' | 'end-of-session' | 'failed';
  readonly error?: GatewayError;
}

interface Timing {
  readonly login: number;
  readonly heartbeat: number;
  readonly silence: number;
}

interface Backoff {
  readonly first: number;
  readonly most: number;
  readonly attempts: number;
}

const logoutWaitMs = 1000;
const sendBytesFirst = 4096;

/** "host:port" or "[v6]:port" in its parts. */
export function hostAndPort(field: string, address: string): { host: string; port: number } {
  const [, host, port] = (typeof address === 'string' && /^(.+):(\d{1,5})$/.exec(address)) || [];
  if (host === undefined || Number(port) > 65535 || Number(port) === 0)
    throw invalidOption(field, address, '"host:port"');
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

function backoffOf(option: boolean | ReconnectOptions): Backoff | undefined {
  if (option === false) return undefined;
  const {
    firstMs = 50,
    mostMs = 5000,
    attemptsMax = Number.MAX_SAFE_INTEGER,
  } = option === true ? {} : option;
  return {
    first: integer('reconnect.firstMs', firstMs, 1, 3_600_000),
    most: integer('reconnect.mostMs', mostMs, 1, 3_600_000),
    attempts: integer('reconnect.attemptsMax', attemptsMax, 1, Number.MAX_SAFE_INTEGER),
  };
}

export class SoupClient implements AsyncDisposable {
  /** Settles when the session is over for this client; never rejects. */
  readonly ended: Promise<SoupEnd>;
  readonly #options: SoupOptions;
  readonly #handler: SoupHandler;
  readonly #host: string;
  readonly #port: number;
  readonly #timing: Timing;
  readonly #backoff: Backoff | undefined;
  #settle: (end: SoupEnd) => void = () => undefined;
  #end: SoupEnd | undefined;
  #first: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #socket: Socket | undefined;
  #loggedIn = false;
  #closing = false;
  #paused = false;
  #session: string;
  #next: number;
  #attempts = 0;
  #logins = 0;
  #lost: GatewayError | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #sentAt = 0;
  /** Frames of this tick, back to back. */
  #out = Buffer.allocUnsafeSlow(sendBytesFirst);
  #outBytes = 0;
  #flushing = false;
  #drains: (() => void)[] = [];

  private constructor(options: SoupOptions, handler: SoupHandler) {
    this.#options = options;
    this.#handler = handler;
    ({ host: this.#host, port: this.#port } = hostAndPort('address', options.address));
    this.#timing = {
      login: integer('loginTimeoutMs', options.loginTimeoutMs ?? 5000, 1, 3_600_000),
      heartbeat: integer('heartbeatMs', options.heartbeatMs ?? 1000, 1, 3_600_000),
      silence: integer('silenceMs', options.silenceMs ?? 15_000, 1, 3_600_000),
    };
    this.#backoff = backoffOf(options.reconnect ?? true);
    this.#session = options.session ?? '';
    this.#next = integer('sequence', options.sequence ?? 1, 0, Number.MAX_SAFE_INTEGER);
    // What does not fit the fields is said now, not at a reconnect.
    loginFrame(this.#login());
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Resolves once logged in; rejects with a GatewayError where that fails. */
  static async connect(options: SoupOptions, handler: SoupHandler): Promise<SoupClient> {
    const client = new SoupClient(options, handler);
    await new Promise<void>((resolve, reject) => {
      client.#first = { resolve, reject };
      client.#open();
    });
    return client;
  }

  /** The session's name, as the other side calls it. */
  get session(): string {
    return this.#session;
  }

  /** The number of the next sequenced message: with `session`, what another client resumes from. */
  get nextSequence(): number {
    return this.#next;
  }

  /** Whether a message given now is sent. */
  get connected(): boolean {
    return this.#loggedIn && !this.#closing;
  }

  /** Bytes given to send() that the system has not taken yet: a caller who minds waits for drained(). */
  get bufferedBytes(): number {
    return this.#outBytes + (this.#socket?.writableLength ?? 0);
  }

  /** Copies the message behind what this tick has to send already. False: there is no connection, and the message is not kept. */
  send(payload: Uint8Array): boolean {
    if (!this.connected) return false;
    if (payload.length > payloadBytesMax)
      throw invalidOption('payload', payload.length, `at most ${payloadBytesMax} bytes`);
    const at = this.#outBytes;
    const end = at + frameHeaderBytes + payload.length;
    if (end > this.#out.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, this.#out.length * 2));
      this.#out.copy(larger, 0, 0, at);
      this.#out = larger;
    }
    this.#out.writeUInt16BE(payload.length + 1, at);
    this.#out[at + 2] = packets.unsequenced;
    this.#out.set(payload, at + frameHeaderBytes);
    this.#outBytes = end;
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    return true;
  }

  /** Resolves once the system has taken all that was given to send(), or the connection is gone. */
  async drained(): Promise<void> {
    while (this.#loggedIn && this.bufferedBytes > 0) {
      await new Promise<void>((resolve) => this.#drains.push(resolve));
    }
  }

  /** Takes nothing off the connection until resume(); what has been taken still comes. */
  pause(): void {
    this.#paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#heardAt = performance.now();
    this.#socket?.resume();
  }

  /** Sends what is given, logs out and waits for the connection's end. Again: the same. */
  async close(): Promise<void> {
    if (this.#end === undefined && !this.#closing) {
      if (this.#loggedIn) this.#logOut();
      else this.#finish({ reason: 'logout' });
    }
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #login() {
    const { user, password } = this.#options;
    return { user, password, session: this.#session, sequence: this.#next };
  }

  #open(): void {
    const { tls } = this.#options;
    const to = { host: this.#host, port: this.#port, noDelay: true };
    const options: ConnectionOptions = typeof tls === 'object' ? { ...to, ...tls } : to;
    const socket = tls ? connectTls(options) : connectPlain(to);
    const reader = new FrameReader();
    this.#socket = socket;
    this.#lost = undefined;
    this.#heardAt = performance.now();
    const opened = this.#heardAt;
    socket.setNoDelay(true);
    socket.once(tls ? 'secureConnect' : 'connect', () => socket.write(loginFrame(this.#login())));
    socket.on('error', (cause) => {
      this.#lost ??= new GatewayError(
        this.#loggedIn ? 'GATEWAY_DISCONNECTED' : 'GATEWAY_UNREACHABLE',
        `${this.#options.address}: ${cause.message}`,
        { cause },
      );
    });
    socket.on('drain', () => this.#drain());
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket !== socket) return;
      this.#heardAt = performance.now();
      const frames = reader.read(chunk, (type, payload) => {
        this.#packet(type, payload);
        return this.#socket === socket;
      });
      if (!frames) this.#drop(this.#violation('bytes that are no frame'));
    });
    socket.once('close', () => {
      if (this.#socket === socket) this.#gone();
    });
    const every = Math.max(1, Math.min(this.#timing.heartbeat, this.#timing.silence, this.#timing.login) / 2);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(opened), every);
  }

  #packet(type: number, payload: Buffer): void {
    if (!this.#loggedIn) {
      if (type === packets.loginAccepted) this.#accepted(payload);
      else if (type === packets.loginRejected) this.#rejected(payload);
      else if (type !== packets.debug && type !== packets.serverHeartbeat)
        this.#drop(this.#violation(`packet ${shownType(type)} before a login`));
      return;
    }
    if (type === packets.sequenced) this.#handle(() => this.#handler.message(payload, this.#next++));
    else if (type === packets.endOfSession) this.#finish({ reason: 'end-of-session' });
    else if (type !== packets.serverHeartbeat && type !== packets.debug)
      this.#drop(this.#violation(`packet ${shownType(type)} in a session`));
  }

  #accepted(payload: Buffer): void {
    const login = readLoginAccepted(payload);
    if (login === undefined) {
      this.#drop(this.#violation('an answer to the login that is none'));
      return;
    }
    const resumed = this.#logins > 0;
    if ((this.#next !== 0 && login.sequence !== this.#next) || (resumed && login.session !== this.#session)) {
      const [asked, got] = [`${this.#session}:${this.#next}`, `${login.session}:${login.sequence}`];
      this.#fail(
        new GatewayError(
          'GATEWAY_SEQUENCE_LOST',
          `asked for message ${asked}, the session goes on at ${got}`,
          {
            details: { session: login.session, sequence: login.sequence },
          },
        ),
      );
      return;
    }
    this.#logins++;
    this.#attempts = 0;
    this.#session = login.session;
    this.#next = login.sequence;
    this.#loggedIn = true;
    this.#sentAt = performance.now();
    if (this.#paused) this.#socket?.pause();
    this.#first?.resolve();
    this.#first = undefined;
    this.#handle(() => this.#handler.loggedIn?.({ ...login, resumed }));
  }

  #rejected(payload: Buffer): void {
    const why = payload.toString('latin1', 0, 1);
    this.#fail(
      why === 'S'
        ? new GatewayError(
            'GATEWAY_SESSION_NOT_AVAILABLE',
            `${this.#options.address} has no session "${this.#session}" with message ${this.#next}`,
          )
        : new GatewayError(
            'GATEWAY_LOGIN_REJECTED',
            `${this.#options.address} does not let user "${this.#options.user}" in`,
          ),
    );
  }

  /** A fault in a handler is its own: the client ends, and the error goes where errors of listeners go. */
  #handle(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#fail(new GatewayError('GATEWAY_CLOSED', 'a handler of the client threw', { cause: error }));
      throw error;
    }
  }

  #violation(what: string): GatewayError {
    return new GatewayError('GATEWAY_PROTOCOL', `${this.#options.address} sent ${what}`);
  }

  #tick(opened: number): void {
    const now = performance.now();
    if (!this.#loggedIn) {
      if (now - opened >= this.#timing.login)
        this.#drop(
          new GatewayError('GATEWAY_TIMED_OUT', `${this.#options.address} did not answer the login in time`),
        );
      return;
    }
    const { address } = this.#options;
    if (!this.#paused && now - this.#heardAt >= this.#timing.silence) {
      this.#drop(
        new GatewayError('GATEWAY_TIMED_OUT', `${address} was silent for ${this.#timing.silence} ms`),
      );
      return;
    }
    // Half a period before it is due: the next look may come late.
    if (now - this.#sentAt >= this.#timing.heartbeat / 2 && this.#outBytes === 0) {
      this.#sentAt = now;
      this.#socket?.write(heartbeat);
    }
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#outBytes === 0 || this.#socket === undefined || !this.#loggedIn) return;
    this.#sentAt = performance.now();
    const taken = this.#socket.write(this.#out.subarray(0, this.#outBytes));
    // The socket keeps the bytes until they are out; these are its own now.
    if (this.#socket.writableLength > 0) this.#out = Buffer.allocUnsafeSlow(sendBytesFirst);
    this.#outBytes = 0;
    if (taken && this.#socket.writableLength === 0) this.#drain();
    else if (taken) this.#socket.write(nothing, () => this.#drain());
  }

  #drain(): void {
    const waiting = this.#drains;
    this.#drains = [];
    for (const resolve of waiting) resolve();
  }

  #logOut(): void {
    this.#flush();
    this.#closing = true;
    const socket = this.#socket!;
    socket.end(frame(packets.logoutRequest));
    socket.resume();
    // Whoever does not close its side in time is left.
    const timer = setTimeout(() => socket.destroy(), logoutWaitMs);
    socket.once('close', () => clearTimeout(timer));
  }

  /** The connection is of no use any more; whether another one is tried is for #gone(). */
  #drop(error: GatewayError): void {
    const socket = this.#socket;
    this.#lost ??= error;
    socket?.destroy();
    if (socket !== undefined) this.#gone();
  }

  #gone(): void {
    const wasIn = this.#loggedIn;
    this.#forget();
    if (this.#closing) {
      this.#finish({ reason: 'logout' });
      return;
    }
    const error =
      this.#lost ??
      new GatewayError(
        wasIn ? 'GATEWAY_DISCONNECTED' : 'GATEWAY_UNREACHABLE',
        `${this.#options.address} closed the connection`,
      );
    const backoff = this.#backoff;
    if (this.#first !== undefined || backoff === undefined || this.#attempts >= backoff.attempts) {
      this.#finish({ reason: 'failed', error });
      return;
    }
    const wait = Math.min(backoff.most, backoff.first * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    this.#retry = setTimeout(() => this.#open(), wait * (0.5 + Math.random() / 2));
    if (wasIn) this.#handle(() => this.#handler.disconnected?.(error));
  }

  #fail(error: GatewayError): void {
    this.#finish({ reason: 'failed', error });
  }

  #forget(): void {
    clearInterval(this.#timer);
    this.#socket = undefined;
    this.#loggedIn = false;
    this.#outBytes = 0;
    this.#drain();
  }

  #finish(end: SoupEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#forget();
    if (end.reason === 'end-of-session') socket?.end();
    else socket?.destroy();
    this.#first?.reject(end.error ?? new GatewayError('GATEWAY_CLOSED', 'the session is over'));
    this.#first = undefined;
    this.#settle(end);
  }
}

const heartbeat = frame(packets.clientHeartbeat);
const nothing = Buffer.alloc(0);

function shownType(type: number): string {
  return `"${String.fromCharCode(type)}"`;
}
