/** A server of a test file's own. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { afterAll, beforeAll } from 'vitest';

/** `server` listens at a Unix socket while the tests of this file, or of this block, run. */
export function listenDuringTests(server: Server, path: string): void {
  beforeAll(async () => {
    server.listen(path);
    await once(server, 'listening');
  });
  afterAll(() => {
    server.close();
    rmSync(path, { force: true });
  });
}
