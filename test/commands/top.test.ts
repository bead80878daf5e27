/** `memdrift top` without a terminal: one look, for people and for scripts. */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { Children, idleScript } from '../children.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const children = new Children();
afterEach(() => children.endAll());

function top(...args: readonly string[]): string {
  return execFileSync(process.execPath, [cli, 'top', ...args], { encoding: 'utf8' });
}

describe('memdrift top', () => {
  test('in a pipe is one look as text', async () => {
    const { pid } = await children.node(idleScript);
    const lines = top(String(pid)).split('\n');
    expect(lines[0]).toMatch(new RegExp(`^1 process of the tree of ${pid} {2}by RSS`));
    expect(lines[1]).toMatch(/^sum of RSS +[\d.]+ MB .* anon [\d.]+ {2}file [\d.]+ {2}shmem 0\.0$/);
    expect(lines[2]).toMatch(/^footprint +[\d.]+ MB .*each page once, exact$/);
    expect(lines.find((line) => line.trim().startsWith(`${pid} `))).toMatch(/ now .*█/);
    expect(lines.join('')).not.toContain('\x1b');
  });

  test('--json is one object by its stable names', async () => {
    const { pid } = await children.node(idleScript);
    const look = JSON.parse(top(String(pid), '--json'));
    expect(look).toMatchObject({ schemaVersion: 1, options: { pids: [pid], segments: null } });
    expect(look.processes).toHaveLength(1);
    const [one] = look.processes;
    expect(one).toMatchObject({ pid, isDenied: false, isSelf: false, swapBytes: 0 });
    expect(one.rssAnonBytes + one.rssFileBytes + one.rssShmemBytes).toBe(one.rssBytes);
    expect(look.totals).toMatchObject({
      rssBytes: one.rssBytes,
      pssBytes: one.pssBytes,
      footprintBytes: one.pssBytes,
      footprintExactness: 'exact',
      unknownPss: 0,
    });
    expect(look).not.toHaveProperty('history');
  });

  test('options choose order, tree and filter', async () => {
    const { pid } = await children.node(idleScript);
    const text = top('--once', '--tree', '--command', '--sort', 'pid', '--filter', idleScript);
    expect(text).toMatch(/^\d+ processes of .* \d+ with ".*" {2}by PID/);
    expect(text).toMatch(new RegExp(`^ *${pid} .*─.* -e `, 'm'));
  });

  test.each([
    [['0'], 2, /"0" is not a process id/],
    [['--interval', '0'], 2, /--interval is "0"; it must be a number from 0.05 to 3600/],
    [['--budget', 'much'], 2, /--budget is "much"; it must be a number from 0 to 100/],
    [['--sort', 'colour'], 2, /Allowed choices are rss, pss/],
    [[String(2 ** 22 + 1)], 1, /4194305.* no such process/],
    [['--once', '--segment', '/dev/shm/no such'], 1, /Segment \/dev\/shm\/no such/],
  ] as const)('%j is an error with exit code %i', (args, status, message) => {
    const ended = spawnSync(process.execPath, [cli, 'top', ...args], { encoding: 'utf8' });
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr.trim().split('\n')).toHaveLength(1);
    expect(ended.status).toBe(status);
  });
});
