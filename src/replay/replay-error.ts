/** A replay that cannot go on: a file that cannot be read, a line that is wrong, a folder that holds something else. */
import { VerbexError } from '../errors/errors.ts';

export class ReplayError extends VerbexError {
  /** Line of the file, from 1, where there is one. */
  readonly line: number | undefined;

  constructor(code: string, message: string, options: { cause?: unknown; line?: number } = {}) {
    super(code, message, {
      ...(options.cause === undefined ? {} : { cause: options.cause }),
      ...(options.line === undefined ? {} : { details: { line: options.line } }),
    });
    this.line = options.line;
  }
}
