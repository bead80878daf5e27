/** Files that commands make in folders that other users can write to. */
import { lchownSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeOutput } from '../../src/commands/output.ts';

test('does not write behind a link of another user', () => {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-shared-'));
  try {
    const [file, link] = [join(folder, 'file'), join(folder, 'link')];
    writeFileSync(file, 'old');
    symlinkSync(file, link);
    lchownSync(link, 65_534, 65_534);
    const plan = { madeFrom: [], replaces: true };
    const denied = expect.objectContaining({ code: 'ERR_DENIED' });
    expect(() => writeOutput(link, ['new'], plan)).toThrow(denied);
    expect(readFileSync(file, 'utf8')).toBe('old');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
