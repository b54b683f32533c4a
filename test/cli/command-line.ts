// Runs a command line in this process and keeps what it prints.
import { main } from '../../src/cli/main.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The last line of standard output, as JSON. */
  readonly json: Record<string, unknown>;
}

export async function verbex(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  const streams = {
    out: { write: (text: string) => (out += text) },
    err: { write: (text: string) => (err += text) },
  };
  const code = await main(args, streams, environment);
  return {
    code,
    out,
    err,
    get json(): Record<string, unknown> {
      return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
    },
  };
}
