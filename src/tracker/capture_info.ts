/** What a capture says of its process, in its first frame. */

export interface CaptureInfo {
  readonly role: string;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly nodeVersion: string;
  readonly startedAtMs: number;
}

/** The name of a capture among others: what the process is, which, and since when. */
export function captureName(role: string): string {
  return `${role}-${process.pid}-${Date.now()}.mdc`;
}

/** The JSON of this process's CaptureInfo. */
export function captureInfo(role: string): string {
  const info: CaptureInfo = {
    role,
    pid: process.pid,
    argv: process.argv,
    execArgv: process.execArgv,
    nodeVersion: process.version,
    startedAtMs: Date.now(),
  };
  return JSON.stringify(info);
}
