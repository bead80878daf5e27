/** What commands say of a capture whose process was killed, and of damaged ones. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Captured } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const closed = captured.record('closed', 'globalThis.kept = Buffer.alloc(20_000_000);');

const notice = 'not closed (the process was killed); complete up to its last 100 ms';

const commands = [
  ['stats'],
  ['table'],
  ['summary'],
  ['tree'],
  ['parse'],
  ['flamegraph', '--force'],
  ['transform', 'csv', '-o', '-'],
] as const;

describe.each(['SIGKILL', 'SIGTERM', 'SIGINT'])(
  'a capture of a process that %s ended',
  (signal) => {
    const file = join(captured.folder, `${signal}.mdc`);
    const code = `const kept = Buffer.alloc(30_000_000);
    setTimeout(() => process.kill(process.pid, '${signal}', kept), 300);`;
    captured.call('run', '-o', file, '-e', code);

    test.each(commands.map((command) => [command] as const))(
      'is whole for %j',
      ([name, ...args]) => {
        const { status, stderr } = captured.call(name, ...args, file);
        expect(stderr).toBe(`memdrift: ${file}: ${notice}\n`);
        expect(status).toBe(0);
      },
    );

    test('has all that was live', () => {
      const stats = captured.json('stats', file);
      expect(stats).toMatchObject({ ending: 'killed', damage: null, droppedRecords: 0 });
      expect(stats.leakedBytes).toBeGreaterThan(30_000_000);
    });

    test('has the notice in its page', () => {
      captured.call('flamegraph', '--force', '-o', join(captured.folder, 'page.html'), file);
      const page = readFileSync(join(captured.folder, 'page.html'), 'utf8');
      expect(page).toContain(notice);
    });
  },
);

describe('a damaged capture ends commands with exit code 3', () => {
  const bytes = readFileSync(closed);
  const damaged = (name: string, content: Uint8Array): string => {
    const file = join(captured.folder, `${name}.mdc`);
    writeFileSync(file, content);
    return file;
  };
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(bytes.length - 200) ^ 1, bytes.length - 200);

  test.each([
    ['cut within what was written', damaged('cut', bytes.subarray(0, -1)), 'the file ends here'],
    ['with a byte changed', damaged('flipped', flipped), "a frame's sum is not that of its bytes"],
  ])('%s', (_, file, why) => {
    for (const [name, ...args] of commands) {
      const { status, stderr } = captured.call(name, ...args, file);
      expect(stderr).toContain(`${file} can be read up to here only: at byte`);
      expect(stderr).toContain(why);
      expect(status).toBe(3);
    }
  });

  test('while the whole one gives 0 and no line', () => {
    expect(captured.call('stats', closed)).toMatchObject({ status: 0, stderr: '' });
  });
});
