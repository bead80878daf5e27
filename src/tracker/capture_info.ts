/** What a capture says of its process, in its first frame. */
import { createRequire } from 'node:module';
import type { CommandLineModule } from './command_line.cts';
import { commandLineModule } from './launch.ts';

const { commandLineOf } = createRequire(commandLineModule)(commandLineModule) as CommandLineModule;

export interface CaptureInfo {
  readonly role: string;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly nodeVersion: string;
  /** True when lines of places in code are recorded. */
  readonly lines: boolean;
  readonly startedAtMs: number;
}

/** The name of a capture among others: what the process is, which, and since when. */
export function captureName(role: string): string {
  return `${role}-${process.pid}-${Date.now()}.mdc`;
}

/** The JSON of this process's CaptureInfo. */
export function captureInfo(
  role: string,
  { commandLine, lines }: { readonly commandLine: boolean; readonly lines: boolean },
): string {
  const info: CaptureInfo = {
    role,
    pid: process.pid,
    ...commandLineOf(process, commandLine),
    nodeVersion: process.version,
    lines,
    startedAtMs: Date.now(),
  };
  return JSON.stringify(info);
}
