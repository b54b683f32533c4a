/** One line of the neutral format as plain fields: names in snake or camel case, texts and numbers told apart. */
import { ReplayError } from './replay-error.ts';

const aliases: Readonly<Record<string, string>> = {
  symbol: 'instrument',
  market: 'instrument',
  qty: 'quantity',
  amount_base: 'quantity',
  time_in_force: 'tif',
  timeInForce: 'tif',
  new_id: 'newId',
  client_id: 'id',
  clientId: 'id',
  stp: 'selfTrade',
};

function camel(name: string): string {
  return name.includes('_') ? name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()) : name;
}

/** Names and operations seen so far: a file has few, on every line. */
const namesKept = 1000;
const canonicalNames = new Map<string, string>();
const plainOps = new Map<string, string>();

function canonicalName(name: string): string {
  let known = canonicalNames.get(name);
  if (known === undefined) {
    known = aliases[name] ?? camel(name);
    if (canonicalNames.size < namesKept) canonicalNames.set(name, known);
  }
  return known;
}

/** The object itself where its names are the API's already, as they are as a rule. */
function canonical(parsed: Record<string, unknown>): Record<string, unknown> {
  let same = true;
  for (const name in parsed) if (parsed[name] === null || canonicalName(name) !== name) same = false;
  if (same) return parsed;
  const fields: Record<string, unknown> = {};
  for (const name in parsed) if (parsed[name] !== null) fields[canonicalName(name)] = parsed[name];
  return fields;
}

function badLine(message: string): ReplayError {
  return new ReplayError('REPLAY_BAD_LINE', message);
}

export class JsonLine {
  readonly op: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(text: string) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (cause) {
      throw new ReplayError('REPLAY_BAD_LINE', `not JSON: ${(cause as Error).message}`, { cause });
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      throw badLine('not an object');
    this.#fields = canonical(parsed as Record<string, unknown>);
    const { op } = this.#fields;
    if (typeof op !== 'string') throw badLine('"op" is missing');
    let plain = plainOps.get(op);
    if (plain === undefined) {
      plain = op
        .replaceAll('_', '-')
        .replace(/([a-z])([A-Z])/g, '$1-$2')
        .toLowerCase();
      if (plainOps.size < namesKept) plainOps.set(op, plain);
    }
    this.op = plain;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  raw(name: string): unknown {
    return this.#fields[name];
  }

  /** The first of these names that is there; ids and names may also be written as whole numbers. */
  text(...names: string[]): string | undefined {
    for (const name of names) {
      const value = this.#fields[name];
      if (value === undefined) continue;
      if (typeof value === 'string' && value !== '') return value;
      if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
      throw badLine(`"${name}" is not a text`);
    }
    return undefined;
  }

  needText(...names: string[]): string {
    const value = this.text(...names);
    if (value === undefined) throw badLine(`"${names[0]}" is missing`);
    return value;
  }

  /**
   * A price, quantity or amount: text, exactly as it stands. Numbers are refused: reading them would round them
   * before anybody could see it. Whole numbers are exact and welcome.
   */
  decimal(...names: string[]): string | undefined {
    for (const name of names) {
      const value = this.#fields[name];
      if (value === undefined) continue;
      if (typeof value === 'string') return value;
      if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
      throw badLine(`"${name}" must be a decimal text like "236.47", not ${JSON.stringify(value)}`);
    }
    return undefined;
  }

  /** A tick or lot size: also as a JSON number, whose shortest text is what the file says. */
  step(...names: string[]): string | undefined {
    for (const name of names) {
      const value = this.#fields[name];
      if (typeof value !== 'number' || !(value > 0 && value < 1e15)) continue;
      const text = String(value);
      return text.includes('e') ? value.toFixed(20).replace(/0+$/, '') : text;
    }
    return this.decimal(...names);
  }

  needDecimal(...names: string[]): string {
    const value = this.decimal(...names);
    if (value === undefined) throw badLine(`"${names[0]}" is missing`);
    return value;
  }

  oneOf<const T extends string>(name: string, words: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if ((words as readonly string[]).includes(value)) return value as T;
    const word = words.find((known) => known === value.toLowerCase().replaceAll('_', '-'));
    if (word === undefined) throw badLine(`"${name}" is "${value}", not one of ${words.join(', ')}`);
    return word;
  }

  integer(...names: string[]): number | undefined {
    for (const name of names) {
      const value = this.#fields[name];
      if (value === undefined) continue;
      const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
      if (typeof number === 'number' && Number.isSafeInteger(number)) return number;
      throw badLine(`"${name}" is not a whole number`);
    }
    return undefined;
  }

  flag(name: string): boolean | undefined {
    const value = this.#fields[name];
    if (value === undefined || typeof value === 'boolean') return value;
    throw badLine(`"${name}" is neither true nor false`);
  }

  /** Nanoseconds since 1970: a whole number in a text, or milliseconds as a number. */
  nanos(name: string): bigint | undefined {
    const value = this.#fields[name];
    if (value === undefined) return undefined;
    if (typeof value === 'string' && /^\d{1,19}$/.test(value)) return BigInt(value);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)
      return BigInt(value) * 1_000_000n;
    throw badLine(`"${name}" is neither milliseconds (a number) nor nanoseconds (a text of digits)`);
  }
}
