/** /proc, /sys, /dev and the like as read by the doctor: of this machine, or of a folder that stands for one. */
import { accessSync, constants, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';

export class SystemTree {
  readonly #root: string;

  constructor(root = '/') {
    this.#root = root;
  }

  path(path: string): string {
    return join(this.#root, path);
  }

  /** Without the blanks around it; undefined where it is not there, or not for us to read. */
  text(path: string): string | undefined {
    try {
      return readFileSync(this.path(path), 'utf8').trim();
    } catch {
      return undefined; // The probe says "unknown", or "none".
    }
  }

  number(path: string): number | undefined {
    const text = this.text(path);
    return text === undefined || !/^-?\d+$/.test(text) ? undefined : Number(text);
  }

  /** Names in a folder, in order, numbers as numbers; none where there is no such folder. */
  list(path: string): string[] {
    try {
      return readdirSync(this.path(path)).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    } catch {
      return []; // As good as empty.
    }
  }

  /** The last part of where a link leads. */
  target(path: string): string | undefined {
    try {
      return basename(realpathSync(this.path(path)));
    } catch {
      return undefined; // A device without a driver, say.
    }
  }

  access(path: string): 'granted' | 'denied' | 'missing' {
    try {
      accessSync(this.path(path), constants.R_OK | constants.W_OK);
      return 'granted';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : 'denied';
    }
  }
}

/** "0-2,5" to 0, 1, 2, 5: how the kernel writes sets of processors. */
export function processorSet(text: string | undefined): number[] {
  return (text ?? '').split(',').flatMap((part) => {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (range === null) return [];
    const first = Number(range[1]);
    return Array.from({ length: Number(range[2] ?? first) - first + 1 }, (_, at) => first + at);
  });
}
