// A SoupBinTCP server of a few lines, with its bytes written by hand: what the clients are tested against, itself no part of them.
import { createServer, type Server, type Socket } from 'node:net';

export interface FakeOptions {
  readonly user?: string;
  readonly password?: string;
  readonly session?: string;
  /** Bytes of each write to the client; 0: all at once. */
  readonly splitAt?: number;
  /** Before a login is answered: to change what the session holds. */
  readonly before?: (gateway: FakeGateway) => void;
  /** What answers an unsequenced message. */
  readonly received?: (message: Buffer, gateway: FakeGateway) => void;
}

const packet = (type: string, payload: Buffer | string = ''): Buffer => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), Buffer.from(payload as Buffer)]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length);
  return Buffer.concat([length, body]);
};

export class FakeGateway implements AsyncDisposable {
  /** Every sequenced message of the session. */
  readonly sent: Buffer[] = [];
  /** Every unsequenced message that came. */
  readonly received: Buffer[] = [];
  readonly logins: { user: string; password: string; session: string; sequence: number }[] = [];
  heartbeats = 0;
  logouts = 0;
  /** Answers logins; false: stays silent. */
  answers = true;
  readonly #options: FakeOptions;
  readonly #server: Server;
  readonly #sockets = new Map<Socket, { loggedIn: boolean; next: number }>();

  private constructor(options: FakeOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async open(options: FakeOptions = {}): Promise<FakeGateway> {
    const gateway = new FakeGateway(options);
    await new Promise<void>((resolve) => gateway.#server.listen(0, '127.0.0.1', resolve));
    return gateway;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** One more message of the session, to whoever is logged in. */
  send(...messages: Buffer[]): void {
    this.sent.push(...messages.map((message) => Buffer.from(message)));
    this.#pump();
  }

  /** Bytes as they are, to everybody. */
  raw(bytes: Buffer): void {
    for (const socket of this.#sockets.keys()) socket.write(bytes);
  }

  packet(type: string, payload: Buffer | string = ''): void {
    this.raw(packet(type, payload));
  }

  /** The connections are lost; the session stays. */
  cut(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
    this.#sockets.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    const state = { loggedIn: false, next: 1 };
    this.#sockets.set(socket, state);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const whole = rest.subarray(2, 2 + rest.readUInt16BE(0));
        rest = rest.subarray(2 + whole.length);
        this.#packet(socket, state, String.fromCharCode(whole[0]!), whole.subarray(1));
      }
    });
  }

  #packet(socket: Socket, state: { loggedIn: boolean; next: number }, type: string, payload: Buffer): void {
    if (type === 'R') this.heartbeats++;
    else if (type === 'O') {
      this.logouts++;
      socket.end();
    } else if (type === 'L') this.#login(socket, state, payload.toString('latin1'));
    else if (type === 'U') {
      this.received.push(Buffer.from(payload));
      this.#options.received?.(payload, this);
    } else throw new Error(`a client sent packet ${type}`);
  }

  #login(socket: Socket, state: { loggedIn: boolean; next: number }, text: string): void {
    if (text.length !== 46) throw new Error(`a login of ${text.length} bytes`);
    const login = {
      user: text.slice(0, 6).trimEnd(),
      password: text.slice(6, 16).trimEnd(),
      session: text.slice(16, 26).trim(),
      sequence: Number(text.slice(26, 46)),
    };
    this.logins.push(login);
    if (!this.answers) return;
    this.#options.before?.(this);
    const { user = 'ann', password = 'secret', session = 'DAY1' } = this.#options;
    if (login.user !== user || login.password !== password) {
      socket.end(packet('J', 'A'));
      return;
    }
    const next = login.sequence === 0 ? this.sent.length + 1 : login.sequence;
    if ((login.session !== '' && login.session !== session) || next > this.sent.length + 1) {
      socket.end(packet('J', 'S'));
      return;
    }
    state.loggedIn = true;
    state.next = next;
    this.#write(socket, packet('A', session.padStart(10) + String(next).padStart(20)));
    this.#pump();
  }

  #pump(): void {
    for (const [socket, state] of this.#sockets) {
      if (!state.loggedIn) continue;
      const frames = this.sent.slice(state.next - 1).map((message) => packet('S', message));
      state.next = this.sent.length + 1;
      if (frames.length > 0) this.#write(socket, Buffer.concat(frames));
    }
  }

  #write(socket: Socket, bytes: Buffer): void {
    const { splitAt = 0 } = this.#options;
    if (splitAt === 0) socket.write(bytes);
    else for (let at = 0; at < bytes.length; at += splitAt) socket.write(bytes.subarray(at, at + splitAt));
  }
}

/** Waits until something holds. The bound is generous: it is there for failures only. */
export async function until(holds: () => boolean, what = 'it never came'): Promise<void> {
  const end = performance.now() + 25_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(what);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
