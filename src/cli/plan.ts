/** `--plan`, `--spin`, `--cores`: the threads of a node's pipeline, for every command that opens one. */
import type { ExchangeOptions } from '../api/types.ts';
import { type Given, type Option, UsageError } from './command.ts';

export const planOptions: readonly Option[] = [
  {
    name: 'plan',
    value: 'PLAN',
    fallback: 'auto',
    help: 'threads: serial, pipelined, sharded, sharded:RxM or auto; the result is the same',
  },
  {
    name: 'spin',
    value: 'MICROS',
    help: 'look for work so long before sleeping; busy: never sleep; default: what suits plan and machine',
  },
  { name: 'cores', value: 'N,N,…', help: 'pin the threads: engine, journal, risk…, matching…' },
];

export function planGiven(given: Given): Pick<ExchangeOptions, 'plan' | 'spin' | 'cores'> {
  const spin = given.text('spin');
  const cores = given.text('cores');
  const whole = (option: string, text: string): number => {
    if (!/^\d{1,8}$/.test(text)) throw new UsageError(`--${option}: ${text} is no whole number`);
    return Number(text);
  };
  return {
    plan: given.need('plan'),
    ...(spin === undefined ? {} : { spin: spin === 'busy' ? Number.POSITIVE_INFINITY : whole('spin', spin) }),
    ...(cores === undefined ? {} : { cores: cores.split(',').map((core) => whole('cores', core)) }),
  };
}
