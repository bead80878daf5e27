import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { registerPs } from '../../src/commands/ps.ts';
import type { GroupProcess, GroupSnapshot, GroupTotals } from '../../src/group/group_model.ts';
import { psText } from '../../src/report/ps_text.ts';
import { Children, idleScript } from '../children.ts';

const children = new Children();
let written = '';

beforeEach(() => {
  written = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await children.endAll();
});

async function ps(...args: string[]): Promise<string> {
  const program = new Command('memdrift').exitOverride();
  registerPs(program);
  await program.parseAsync(['ps', ...args], { from: 'user' });
  return written;
}

describe('memdrift ps', () => {
  test('--json prints the snapshot by its stable names', async () => {
    const { pid } = await children.node(idleScript);
    const snapshot = JSON.parse(await ps(String(process.pid), String(pid), '--json'));
    expect(snapshot).toMatchObject({ schemaVersion: 1, unknownPids: [], segments: [] });
    expect(Object.keys(snapshot.processes[0])).toEqual(
      expect.arrayContaining([
        ...['pid', 'name', 'rssBytes', 'ussBytes', 'pssBytes', 'sharedBytes'],
        ...['swapBytes', 'peakRssBytes'],
      ]),
    );
    const { processes, totals, knownTotals } = snapshot;
    expect(totals.rssBytes).toBe(processes[0].rssBytes + processes[1].rssBytes);
    expect(totals.footprintBytes).toBe(totals.pssBytes);
    expect(knownTotals).toEqual(totals);
  });

  test('prints a table, with descendants below their parent', async () => {
    const { pid } = await children.node(idleScript);
    const lines = (await ps('--tree', String(process.pid))).split('\n');
    expect(lines[0]).toMatch(/^\s*PID\s+RSS\s+USS\s+PSS\s+SHR\s+swap\s+peak RSS\s+command$/);
    const of = (one: number) => lines.find((line) => line.trim().startsWith(`${one} `)) as string;
    const nameColumn = (lines[0] as string).indexOf('command');
    const indent = (line: string) => line.slice(nameColumn).search(/\S/);
    expect(indent(of(pid))).toBe(indent(of(process.pid)) + 2);
  });

  test.each([['12x'], ['0'], ['-1'], ['1.5']])('"%s" is not a process id', async (bad) => {
    await expect(ps('--', bad)).rejects.toMatchObject({ code: 'ERR_INVALID' });
  });

  test('a process that is not there is an error', async () => {
    const child = await children.node(idleScript);
    await child.end();
    await expect(ps(String(child.pid))).rejects.toMatchObject({ code: 'ERR_GONE' });
  });
});

const sums: GroupTotals<number> = {
  rssBytes: 30e6,
  ussBytes: 5e6,
  pssBytes: 12e6,
  sharedBytes: 20e6,
  swapBytes: 0,
  hugetlbBytes: 0,
  unmappedSegmentBytes: 3e6,
  hugetlbShareBytes: 0,
  footprintBytes: 15e6,
};

const one: GroupProcess = {
  pid: 7,
  parentPid: 1,
  name: 'vic',
  command: 'evil\u001b[2J\nname --token=***',
  state: 'S',
  rssBytes: 30e6,
  ussBytes: 5e6,
  pssBytes: 12e6,
  sharedBytes: 20e6,
  rssAnonBytes: 10e6,
  swapBytes: 0,
  hugetlbBytes: 0,
  peakRssBytes: 31e6,
};

const snapshot: GroupSnapshot = {
  schemaVersion: 1,
  options: { pids: [7], tree: false, segments: null },
  processes: [one],
  totals: sums,
  knownTotals: sums,
  footprintRange: { leastBytes: 15e6, mostBytes: 15e6 },
  unknownPids: [],
  hiddenSharedBytes: 0,
  lostPids: [],
  segments: [],
};

describe('the text', () => {
  test('says how the footprint is made and how far the sum of RSS is above it', () => {
    const text = psText(snapshot);
    expect(text).toContain('footprint  15.00 MB');
    expect(text).toContain('12.00 sum of PSS + 3.00 in segments');
    expect(text).toContain('the sum of RSS is 2.00 times that');
  });

  test('lets no name move the cursor or break the line', () => {
    expect(psText(snapshot)).toContain('evil?[2J?name --token=***');
  });

  test('never prints 0 for what is not known', () => {
    const hidden = { ...one, ussBytes: null, pssBytes: null };
    const totals = {
      ...sums,
      ussBytes: null,
      pssBytes: null,
      unmappedSegmentBytes: null,
      footprintBytes: null,
    };
    const text = psText({
      ...{ ...snapshot, processes: [hidden], totals, unknownPids: [7] },
      footprintRange: { leastBytes: 3e6, mostBytes: 33e6 },
    });
    expect(text).toContain('footprint  3.00 to 33.00 MB');
    expect(text).toContain('PSS and USS of 7 are unknown');
    expect(text.match(/unknown/g)?.length).toBeGreaterThanOrEqual(5);
  });

  test('has a column of huge pages where there are some, and what they add', () => {
    expect(psText(snapshot)).not.toContain('huge');
    const huge = { ...one, hugetlbBytes: 8e6 };
    const totals = { ...sums, hugetlbBytes: 8e6, hugetlbShareBytes: 8e6, footprintBytes: 23e6 };
    const text = psText({ ...snapshot, processes: [huge], totals, knownTotals: totals });
    expect(text).toMatch(/SHR\s+huge\s+swap/);
    expect(text).toContain('footprint  23.00 MB');
    expect(text).toContain(
      '12.00 sum of PSS + 3.00 in segments that no process maps + 8.00 in huge pages',
    );
  });

  test('names the largest segments, and has a row for the others', () => {
    const segments = Array.from({ length: 25 }, (_, i) => segmentOf(i + 1));
    const text = psText({ ...snapshot, segments, hiddenSharedBytes: 7e6 });
    expect(text).toContain('/memfd:s25 ');
    expect(text).not.toContain('/memfd:s5 ');
    // 1 to 5 MB.
    expect(text).toMatch(/5 more\s+15.00\s+15.00\s+0.00\s+5.00\s+5.00/);
    expect(text).toContain('7 0.00, 2 outside of the group');
    expect(text).toContain(
      'have 7.00 MB of shared memory and cannot be looked into: up to 7.00 MB',
    );
  });
});

function segmentOf(i: number): GroupSnapshot['segments'][number] {
  return {
    ...{ name: `/memfd:s${i}`, device: '0:1', inode: i, deleted: true, isHugetlb: false },
    ...{ sizeBytes: i * 1e6, residentBytes: i * 1e6, swappedBytes: 0 },
    ...{ unmappedBytes: 1e6, chargedBytes: 1e6, outsideHolders: 2 },
    holders: [{ pid: 7, rssBytes: 0, pssBytes: 0, copiedBytes: 0, descriptors: 1 }],
  };
}
