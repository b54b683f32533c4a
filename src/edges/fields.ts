// Reads a JSON object or a query field by field; whatever is not as it should be is a 400 with a code.
import { RequestError } from './request-error.ts';

const namePattern = /^[\x21-\x7e]{1,16}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const decimalPattern = /^-?\d{1,40}(?:\.\d{1,18})?$/;

/** An order id or transaction id as the exchange takes it. */
export function isId(text: string): boolean {
  return namePattern.test(text) || uuidPattern.test(text);
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(JSON.stringify(value));
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/**
 * Each field is asked for once; done() refuses those that nobody asked for.
 * Prices, quantities and amounts must be texts: a JSON number has lost digits before anybody can look.
 */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #asked = new Set<string>();

  /** Whether integers come as digits: in a query everything is text. */
  readonly #digits: boolean;

  constructor(values: Readonly<Record<string, unknown>>, digits = false) {
    this.#values = values;
    this.#digits = digits;
  }

  /** The query of a request; a name that comes twice is refused. */
  static ofQuery(query: URLSearchParams): Fields {
    const values: Record<string, unknown> = Object.create(null);
    for (const [name, value] of query) {
      if (name in values) throw new RequestError(400, 'INVALID_FIELD', `${shown(name)} is given twice`);
      values[name] = value;
    }
    return new Fields(values, true);
  }

  #take(name: string): unknown {
    this.#asked.add(name);
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
  }

  has(name: string): boolean {
    return this.#take(name) !== undefined;
  }

  #need<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw new RequestError(400, 'MISSING_FIELD', `${name} is missing`);
    return value;
  }

  #wrong(name: string, value: unknown, wanted: string): RequestError {
    return new RequestError(400, 'INVALID_FIELD', `${name} must be ${wanted}, not ${shown(value)}`);
  }

  optionalName(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || !namePattern.test(value)) {
      throw this.#wrong(name, value, '1 to 16 printable ASCII characters');
    }
    return value;
  }

  name(name: string): string {
    return this.#need(name, this.optionalName(name));
  }

  optionalId(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || !isId(value)) {
      throw this.#wrong(name, value, '1 to 16 printable ASCII characters or a UUID');
    }
    return value;
  }

  id(name: string): string {
    return this.#need(name, this.optionalId(name));
  }

  optionalText(name: string, lengthMax: number): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value.length === 0 || value.length > lengthMax) {
      throw this.#wrong(name, value, `a text of 1 to ${lengthMax} characters`);
    }
    return value;
  }

  text(name: string, lengthMax: number): string {
    return this.#need(name, this.optionalText(name, lengthMax));
  }

  optionalDecimal(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number') {
      throw new RequestError(
        400,
        'NUMBER_NOT_ALLOWED',
        `${name} must be a text such as "236.47": a JSON number loses digits`,
      );
    }
    if (typeof value !== 'string' || !decimalPattern.test(value)) {
      throw this.#wrong(name, value, 'a decimal text such as "236.47"');
    }
    return value;
  }

  decimal(name: string): string {
    return this.#need(name, this.optionalDecimal(name));
  }

  optionalChoice<const T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.#wrong(name, value, `one of ${choices.join(', ')}`);
    return found;
  }

  choice<const T extends string>(name: string, choices: readonly T[]): T {
    return this.#need(name, this.optionalChoice(name, choices));
  }

  optionalChoices<const T extends string>(name: string, choices: readonly T[]): T[] | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.length > choices.length) {
      throw this.#wrong(name, value, `a list of ${choices.join(', ')}`);
    }
    return value.map((one: unknown) => {
      const found = choices.find((choice) => choice === one);
      if (found === undefined) throw this.#wrong(name, one, `a list of ${choices.join(', ')}`);
      return found;
    });
  }

  /** A JSON integer; in a query its digits. */
  optionalInteger(name: string, least: number, most: number): number | undefined {
    const given = this.#take(name);
    if (given === undefined) return undefined;
    const value =
      this.#digits && typeof given === 'string' && /^-?\d{1,16}$/.test(given) ? Number(given) : given;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw this.#wrong(name, given, `an integer from ${least} to ${most}`);
    }
    return value;
  }

  integer(name: string, least: number, most: number): number {
    return this.#need(name, this.optionalInteger(name, least, most));
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.#wrong(name, value, 'true or false');
  }

  flag(name: string): boolean {
    return this.#need(name, this.optionalFlag(name));
  }

  /** Whether the field is there and null. */
  isNull(name: string): boolean {
    return this.#take(name) === null;
  }

  done(): void {
    for (const name of Object.keys(this.#values)) {
      if (!this.#asked.has(name))
        throw new RequestError(400, 'UNKNOWN_FIELD', `${shown(name)} is not known here`);
    }
  }
}
