// HttpConnection: one kept-alive HTTP/1.1 connection of a client, one request at a time, signed as docs/http-api.md says.
//
// Written by hand over a socket, so that what is measured is the node and not a client library.
import { createHmac } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { VerbexError } from '../errors/errors.ts';
import type { ClientKey } from './node-process.ts';

const headEnd = Buffer.from('\r\n\r\n');

/** The three headers' values: key, timestamp, signature. A signature counts once, so texts to sign must differ. */
export function signed(
  key: ClientKey,
  method: string,
  target: string,
  body: string,
): [string, string, string] {
  const timestamp = String(Date.now());
  const text = `${timestamp}\n${method}\n${target}\n${body}`;
  return [key.key, timestamp, createHmac('sha256', key.secret).update(text).digest('hex')];
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export class HttpConnection {
  readonly #socket: Socket;
  readonly #key: ClientKey;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: HttpAnswer) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket, key: ClientKey) {
    this.#socket = socket;
    this.#key = key;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    const failed = (why: string): void => {
      this.#waiting?.reject(new VerbexError('BENCH_FAILED', `a connection broke: ${why}`));
      this.#waiting = undefined;
    };
    socket.on('error', (error) => failed(error.message));
    socket.on('close', () => failed('closed'));
  }

  static open(port: number, key: ClientKey): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new HttpConnection(socket, key)));
      socket.once('error', reject);
    });
  }

  /** Signs and sends; one at a time. */
  send(method: string, target: string, body: string): Promise<HttpAnswer> {
    const [key, timestamp, signature] = signed(this.#key, method, target, body);
    const head =
      `${method} ${target} HTTP/1.1\r\nhost: 127.0.0.1\r\nverbex-key: ${key}\r\nverbex-timestamp: ${timestamp}\r\n` +
      `verbex-signature: ${signature}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(head + body);
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf(headEnd);
    if (end < 0) return;
    const head = this.#received.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (!Number.isInteger(length)) {
      this.#waiting?.reject(new VerbexError('BENCH_FAILED', 'an answer without content-length'));
      this.#waiting = undefined;
      return;
    }
    const whole = end + headEnd.length + length;
    if (this.#received.length < whole) return;
    const body = this.#received.toString('utf8', end + headEnd.length, whole);
    this.#received = this.#received.subarray(whole);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), body });
  }
}
