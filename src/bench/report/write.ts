// The report on disk: the page, and beside it everything that was measured.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ReportFacts } from './collect.ts';
import { reportPage } from './page.ts';

/** The same three steps up from src/bench/report and from dist/bench/report. */
export const reportFolder: string = fileURLToPath(new URL('../../../build/bench/report', import.meta.url));

/** Answers the page's path. */
export function writeReport(facts: ReportFacts, folder: string = reportFolder): string {
  mkdirSync(folder, { recursive: true });
  const page = join(folder, 'index.html');
  writeFileSync(page, reportPage(facts));
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(facts, undefined, 1)}\n`);
  return page;
}
