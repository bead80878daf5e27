/** Who is looked at when nobody is named. */
import { afterEach, describe, expect, test } from 'vitest';
import { commandOf } from '../../src/group/command_line.ts';
import { NewMembers } from '../../src/top/group_members.ts';
import { Children, idleScript } from '../children.ts';

const children = new Children();
afterEach(() => children.endAll());

const uid = process.geteuid?.() ?? 0;

describe('NewMembers', () => {
  test('finds processes of this user that nobody follows yet, and no kernel threads', async () => {
    const { pid } = await children.node(idleScript);
    const members = new NewMembers(uid);
    const found = members.find(new Set());
    expect(found).toEqual(expect.arrayContaining([pid, process.pid]));
    expect(found).not.toContain(2);
    expect(members.find(new Set(found))).not.toContain(pid);
    const later = await children.node(idleScript);
    expect(members.find(new Set(found))).toContain(later.pid);
  });

  test("leaves other users' processes out", () => {
    expect(new NewMembers(4_000_000_000).find(new Set())).toEqual([]);
  });
});

describe('commandOf', () => {
  test('has the arguments apart by spaces', async () => {
    const { pid } = await children.node(idleScript);
    expect(commandOf(pid)).toBe(`${process.execPath} -e ${idleScript}`);
  });

  test('is null of who is gone or has none', () => {
    expect(commandOf(2 ** 22 + 1)).toBeNull();
  });

  test('of endless arguments has the beginning', async () => {
    const { pid } = await children.run(process.execPath, ['-e', idleScript, 'x'.repeat(100_000)]);
    expect(commandOf(pid)?.length).toBe(4096);
  });
});
