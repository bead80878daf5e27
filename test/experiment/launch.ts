/** Runs of the experiment as a user starts them, for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExperimentReport } from '../../src/experiment/report_model.ts';

const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Small enough for a test, large enough that every array has several pages. */
export const smallRun = [
  '--clients=3',
  '--rounds=3',
  '--array-size=300001',
  '--obj-store-mem=50000000',
  '--work-ms=20',
  '--sample-ms=20',
];

export interface Launched {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly ended: Promise<{
    code: number | null;
    signal: NodeJS.Signals | null;
    stdout: string;
    stderr: string;
    report: ExperimentReport | null;
    endedAt: number;
  }>;
}

/** Starts `node dist/main.js` in a folder of its own, which goes when the run has ended. */
export function launch(flags: readonly string[]): Launched {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-'));
  const json = join(folder, 'report.json');
  const child = spawn(process.execPath, [mainFile, ...flags, '--json', json], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended: Launched['ended'] = new Promise((resolve) => {
    child.once('close', (code, signal) => {
      const endedAt = performance.now();
      const report = readReport(json);
      rmSync(folder, { recursive: true, force: true });
      resolve({ code, signal, ...output, report, endedAt });
    });
  });
  return { child, folder, ended };
}

function readReport(path: string): ExperimentReport | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ExperimentReport;
  } catch {
    return null;
  }
}

/** Names in /dev/shm that belong to the run of main process `pid`. */
export function segmentsOfRun(pid: number): string[] {
  return readdirSync('/dev/shm').filter((name) => name.startsWith(`memdrift.run-${pid}-`));
}

/** Children of a process, by the kernel's own list. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** True while the process exists and is no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/**
 * Looks every few milliseconds until `condition` gives something, or gives up with what was waited
 * for.
 */
export async function eventually<T>(
  what: string,
  condition: () => T | null | false | undefined,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
