// Every bound of the edges, in one place. docs/operations.md lists them for operators.

/** Bounds of one HTTP listener. */
export interface HttpLimits {
  readonly bodyBytesMax: number;
  readonly targetBytesMax: number;
  readonly headerBytesMax: number;
  readonly connectionsMax: number;
  /** A client must have sent its headers, and the whole request, within these. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** How long close() waits for answers that are being made. */
  readonly closeTimeoutMs: number;
}

export const httpLimits: HttpLimits = {
  bodyBytesMax: 64 * 1024,
  targetBytesMax: 2048,
  headerBytesMax: 16 * 1024,
  connectionsMax: 1024,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 30_000,
  closeTimeoutMs: 3_000,
};

/** Bounds of one WebSocket stream. */
export interface StreamLimits {
  readonly clientsMax: number;
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
  /** Messages that a client may send at once, and how many more it earns a second. */
  readonly messageBurstMax: number;
  readonly messagesPerSecond: number;
  /** Messages that make no sense before the connection is closed. */
  readonly mistakesMax: number;
  /** What may wait for a client that reads slowly. */
  readonly bufferedBytesMax: number;
  readonly pingEveryMs: number;
  /** From the close frame until the connection is cut. */
  readonly closeTimeoutMs: number;
  /** Deltas kept an instrument, so that a client may resume where it was cut off. */
  readonly historyMax: number;
  readonly tickerEveryMs: number;
}

export const streamLimits: StreamLimits = {
  clientsMax: 512,
  messageBytesMax: 16 * 1024,
  subscriptionsMax: 64,
  messageBurstMax: 100,
  messagesPerSecond: 50,
  mistakesMax: 10,
  bufferedBytesMax: 1024 * 1024,
  pingEveryMs: 15_000,
  closeTimeoutMs: 5_000,
  historyMax: 2048,
  tickerEveryMs: 100,
};

/** A signed request must be this fresh, and is remembered for as long, so that it counts once. */
export const signatureWindowMs = 30_000;
export const signaturesRememberedMax = 400_000;
export const signaturesRememberedPerKeyMax = 100_000;

export const levelsMax = 1000;
export const levelsDefault = 20;
export const tradesMax = 1000;
export const tradesDefault = 100;
export const keysMax = 10_000;
export const jsonDepthMax = 8;
