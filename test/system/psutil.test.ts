import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type MappingField,
  parseStatm,
  readCounters,
  readMappings,
  readRollup,
} from '../../src/index.ts';
import { Targets } from './target.ts';

interface PsutilAnswer {
  full: Record<string, number>;
  maps: ({ addr: string; perms: string; path: string } & Record<string, number | string>)[];
  name: string;
  ppid: number;
  uids: { real: number; effective: number };
  threads: number;
}

const python = process.env.MEMDRIFT_TEST_PYTHON ?? 'python3';

function askPsutil(pid: number): PsutilAnswer {
  const script = fileURLToPath(new URL('ask_psutil.py', import.meta.url));
  try {
    const output = execFileSync(python, [script, String(pid)], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    return (JSON.parse(output) as PsutilAnswer[])[0] as PsutilAnswer;
  } catch (cause) {
    throw new Error(
      `${python} could not ask psutil. Install it (pip install psutil) and name that Python in ` +
        'MEMDRIFT_TEST_PYTHON.',
      { cause },
    );
  }
}

/** psutil's names for the fields of smaps that it has. */
const fieldNames: Record<string, MappingField> = {
  rss: 'rssBytes',
  size: 'sizeBytes',
  pss: 'pssBytes',
  shared_clean: 'sharedCleanBytes',
  shared_dirty: 'sharedDirtyBytes',
  private_clean: 'privateCleanBytes',
  private_dirty: 'privateDirtyBytes',
  referenced: 'referencedBytes',
  anonymous: 'anonymousBytes',
  swap: 'swapBytes',
};

describe('a stopped process', () => {
  let targets: Targets;
  let pid: number;
  let theirs: PsutilAnswer;

  beforeAll(async () => {
    targets = new Targets();
    pid = await targets.start();
    theirs = askPsutil(pid);
  });
  afterAll(() => targets.end());

  // Pss of the vdso changes with the number of processes; its part of a kB can tip the sum.
  it("has psutil's memory_full_info", { retry: 3 }, () => {
    theirs = askPsutil(pid);
    const counters = readCounters(pid);
    const rollup = readRollup(pid);
    const statm = parseStatm(readFileSync(`/proc/${pid}/statm`));
    expect({
      rss: counters.rssBytes,
      vms: counters.vmSizeBytes,
      shared: counters.sharedBytes,
      text: statm.textBytes,
      lib: statm.libraryBytes,
      data: statm.dataBytes,
      dirty: statm.dirtyBytes,
      uss: rollup.ussBytes,
      pss: rollup.pssBytes,
      swap: rollup.swapBytes,
    }).toEqual(theirs.full);
  });

  it("has psutil's memory_maps, mapping by mapping and field by field", () => {
    const ours = [...readMappings(pid)].map((mapping) => ({
      addr: [mapping.startAddress, mapping.endAddress]
        .map((address) => address.toString(16).padStart(8, '0'))
        .join('-'),
      perms: mapping.permissions,
      // psutil leaves the kernel's escapes, and says [anon] where there is no name.
      path: mapping.name.replaceAll('\n', '\\012') || '[anon]',
      ...Object.fromEntries(
        Object.entries(fieldNames).map(([name, field]) => [name, mapping[field]]),
      ),
    }));
    expect(ours.length).toBeGreaterThan(12);
    expect(ours).toEqual(theirs.maps);
  });

  it("has psutil's name, parent, users and threads", () => {
    expect(readCounters(pid)).toMatchObject({
      name: theirs.name,
      parentPid: theirs.ppid,
      uid: theirs.uids.real,
      effectiveUid: theirs.uids.effective,
      threads: theirs.threads,
    });
  });
});
