// Options that are checked in the caller's words before anything is done with them.
import { InvalidRequestError } from './errors.ts';
import { shown } from './shown.ts';

export function invalidOption(field: string, value: unknown, expected: string): InvalidRequestError {
  return new InvalidRequestError('INVALID_OPTION', `${field}: expected ${expected}, got ${shown(value)}`, {
    field,
  });
}

export function oneOf<const Choice extends string>(
  field: string,
  value: Choice,
  choices: readonly Choice[],
): Choice {
  if (!choices.includes(value)) throw invalidOption(field, value, choices.join(' or '));
  return value;
}

export function integer(field: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw invalidOption(field, value, `an integer from ${min} to ${max}`);
  return value;
}

export function powerOfTwo(field: string, value: number, min: number, max: number): number {
  integer(field, value, min, max);
  if ((value & (value - 1)) !== 0) throw invalidOption(field, value, `a power of two from ${min} to ${max}`);
  return value;
}

export function flag(field: string, value: boolean): boolean {
  if (typeof value !== 'boolean') throw invalidOption(field, value, 'true or false');
  return value;
}
