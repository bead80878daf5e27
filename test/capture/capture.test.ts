/** Captures as files: one of each version of the format, and what is not one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { captureText, readCaptureStats, readCaptureTable } from '../../src/capture/capture.ts';

const golden = fileURLToPath(new URL('../fixtures/formats/version1.mdc', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'memdrift-capture-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a file of version 1, as it was written when the version was new', () => {
  test('has the totals that it was made with', async () => {
    expect(await readCaptureStats(golden)).toMatchObject({
      role: 'golden',
      nodeVersion: 'v20.20.2',
      argv: ['node', 'golden.js'],
      events: 137,
      allocations: 102,
      frees: 26,
      unknownFrees: 1,
      droppedRecords: 0,
      damage: null,
      // 75 of 100 blocks of 100 to 199 bytes, one of 5, one that stands for 1000; 12 kB that were
      // moved, and 16 of 64 kB that were made usable less 4 that were given back.
      leakedBytes: 11_250 + 5 + 1_000 + 12_288 + 12_288,
    });
  });

  test('has the stacks that it was made with', async () => {
    const { rows } = await readCaptureTable(golden, { leaks: true });
    const sum = rows.map(({ kind, bytes, stack }) => [kind, bytes, stack[0]?.function]);
    expect(sum).toEqual([
      ['mmap', 12_288, 'outer'],
      ['mmap', 12_288, 'Builtin:ArrayMap'],
      ['malloc', 7_500, 'inner'],
      ['malloc', 4_750, 'outer'],
      ['file', 4_096, 'inner'],
      ['malloc', 5, 'Builtin:ArrayMap'],
    ]);
    expect(rows[0]?.stack[0]).toEqual({
      function: 'outer',
      file: '/golden.js',
      functionLine: 1,
      line: null,
      column: 15,
      native: false,
      object: null,
      inlined: false,
    });
  });

  test('has a line for each record', async () => {
    let text = '';
    for await (const piece of captureText(golden)) text += piece;
    expect(text).toContain('\nmarker at=');
    expect(text).toContain('\ncode 2 compiled isolate=1 JS:*inner /golden.js:4:15\n');
    expect(text).toContain('\nmap thread=1 0x800000 bytes=4096 protection=1 flags=0x2 file ');
  });
});

describe('what is no capture', () => {
  const cases: Record<string, readonly [string | null, string, RegExp]> = {
    'a text': ['just a text', 'ERR_MALFORMED', /too short/],
    'a long text': ['x'.repeat(1000), 'ERR_MALFORMED', /begins otherwise/],
    nothing: [null, 'ERR_GONE', /no such file/i],
  };
  test.each(Object.entries(cases))('%s', async (name, [content, code, message]) => {
    const path = join(folder, name);
    if (content !== null) writeFileSync(path, content);
    await expect(readCaptureStats(path)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test.each([[''], [5], [null]])('%j is no path', async (path) => {
    await expect(readCaptureStats(path as string)).rejects.toMatchObject({ code: 'ERR_INVALID' });
  });
});
