import { describe, expect, it } from 'vitest';
import { type StoreView, storeListText, storeStatsText } from '../../src/report/store_text.ts';

const plain = { color: false };
const server = { client: 1, pid: 41, label: 'Server' };
const client = { client: 2, pid: 42, label: 'Client 0' };

const view: StoreView = {
  name: 'run-7',
  path: '/dev/shm/memdrift.run-7',
  stats: {
    capacityBytes: 10_000_000_000,
    liveBytes: 300_000_000,
    arenaBytes: 330_000_000,
    residentBytes: 360_000_000,
    objects: 2,
    clients: 3,
    puts: 17,
    gets: 1,
    evictions: 0,
    evict: false,
    placement: 'lowest',
    consumerViews: 'mapped',
  },
  objects: [
    {
      id: 4_503_599_627_370_497,
      state: 'created',
      sizeBytes: 200_000_000,
      extentBytes: 200_003_584,
      fileOffsetBytes: 4096,
      createdAtMs: 0,
      creator: { ...server, label: '' },
      site: '',
      elementType: 'bytes',
      shape: [],
      holders: [],
      ageMs: 400,
    },
    {
      id: 12,
      state: 'sealed',
      sizeBytes: 100_000_000,
      extentBytes: 100_003_840,
      fileOffsetBytes: 8192,
      createdAtMs: 0,
      creator: server,
      site: 'transfer.js:9',
      elementType: 'float32',
      shape: [5000, 5000],
      holders: [client, server],
      ageMs: 61_000,
    },
  ],
};

/** The cells of a line: two spaces or more stand between them. */
function cells(line: string | undefined): string[] {
  return (line ?? '').trim().split(/ {2,}/);
}

describe('the list of a store', () => {
  it('has a line per object, oldest first, with who made it where and who holds it', () => {
    const lines = storeListText(view, plain).trimEnd().split('\n');
    expect(lines[0]).toBe('store run-7: 2 objects, 1 held, 300.00 MB live, 360.00 MB resident');
    expect(lines.slice(1).map(cells)).toEqual([
      ['id', 'bytes', 'elements', 'state', 'made by', 'at', 'held by', 'age'],
      [
        '12',
        '100000000',
        'float32 5000x5000',
        'sealed',
        'Server (pid 41)',
        'transfer.js:9',
        'Client 0 (pid 42), Server (pid 41)',
        '61 s',
      ],
      ['4503599627370497', '200000000', 'bytes', 'created', 'pid 41', '-', 'nobody', '0.4 s'],
    ]);
  });

  it('is one line when there is no object', () => {
    const text = storeListText({ ...view, objects: [] }, plain);
    expect(text).toMatch(/^store run-7: 0 objects, 0 held, .*\n$/);
  });

  it('counts holders beyond a few', () => {
    const holders = Array.from({ length: 9 }, (_, i) => ({ ...client, client: i, pid: 100 + i }));
    const objects = view.objects.slice(1).map((info) => ({ ...info, holders }));
    expect(storeListText({ ...view, objects }, plain)).toMatch(/\(pid 103\), 5 more /);
  });

  it('says of a store that evicts how often it did', () => {
    const stats = { ...view.stats, evict: true, evictions: 12 };
    const text = storeStatsText({ ...view, stats }, plain);
    expect(text).toContain('placement lowest, evicts the oldest');
    expect(text).toContain('1 get, 12 evictions so far');
    expect(storeStatsText(view, plain)).not.toContain('evict');
  });

  it('never lets what others wrote into shared memory reach the terminal as a command', () => {
    const site = 'a\u001b[2Jb\n.js:1';
    const objects = view.objects.map((info) => ({ ...info, site }));
    const text = storeListText({ ...view, objects }, plain);
    expect(text).toContain('a?[2Jb?.js:1');
    expect(text).not.toContain('\u001b');
  });
});

it('the statistics of a store put its three sizes side by side', () => {
  const lines = storeStatsText(view, plain).trimEnd().split('\n');
  expect(lines[0]).toBe('store run-7 (/dev/shm/memdrift.run-7)');
  expect(lines.slice(1).map(cells)).toEqual([
    ['live objects', '300.00 MB', '2 objects'],
    ['arena in use', '330.00 MB', '1.10 x live'],
    ['resident pages', '360.00 MB', '1.20 x live'],
    ['capacity', '10000.00 MB', 'placement lowest'],
    ['3 clients attached, 17 puts, 1 get so far'],
  ]);
});
