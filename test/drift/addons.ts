/** Addons and programs in C that tests of drift compile, in a folder that goes with them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../tidy/files.ts';

export class Addons {
  readonly folder = mkdtempSync(join(tmpdir(), 'memdrift-drift-'));

  compile(source: string, name: string): string {
    const headers = join(root, 'node_modules/node-api-headers/include');
    const flags = ['-O2', '-shared', '-fPIC', '-I', headers, '-o', join(this.folder, name)];
    execFileSync('cc', [...flags, join(root, 'test/native', source)]);
    return join(this.folder, name);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
