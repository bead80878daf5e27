/** A page whose numbers can be said by hand. */
import type { CaptureReport, Frame } from '../../src/capture/capture_model.ts';
import { pageData } from '../../src/report/page_data.ts';
import type { PageData } from '../../src/report/page_model.ts';
import { frameOf, randomReport } from '../made_reports.ts';

/** What would run, end the script or break out of a quote if it were taken for HTML. */
export const hostileNames = [
  '</script><img src=x onerror=document.title="broken">',
  '<!--<script>',
  `"'\`\\ $& $' \u2028 \u2029 ]]>`,
];

const native = (name: string): Frame =>
  frameOf(name, { native: true, file: '/usr/lib/libuv.so', functionLine: null });

/**
 * main > load > alloc             malloc 600, 6 of them; worker: malloc 100
 * main > load > node_fs > read    buffer 200
 * main > keep > alloc             mmap 100
 */
export function knownReport(): CaptureReport {
  const base = randomReport({ seed: 1, nodes: 0, rows: 0 });
  const frames = [
    frameOf('main'),
    frameOf('load', { functionLine: 12 }),
    native('alloc'),
    frameOf('node_fs', { file: 'node:fs', functionLine: 3 }),
    native('read'),
    frameOf('keep'),
  ];
  return {
    ...base,
    totalBytes: 1000,
    frames,
    stacks: {
      // 1 main, 2 load, 3 alloc, 4 node_fs, 5 read, 6 keep, 7 alloc
      parent: Uint32Array.from([0, 0, 1, 2, 2, 4, 1, 6]),
      frame: Uint32Array.from([0, 0, 1, 2, 3, 4, 5, 2]),
    },
    rows: {
      bytes: Float64Array.from([600, 200, 100, 100]),
      count: Float64Array.from([6, 2, 1, 1]),
      everBytes: Float64Array.from([900, 200, 100, 100]),
      everCount: Float64Array.from([9, 2, 1, 1]),
      node: Uint32Array.from([3, 5, 3, 7]),
      thread: Uint32Array.from([0, 0, 1, 0]),
      kind: Uint32Array.from([0, 1, 0, 2]),
    },
    // Moments are a second apart: load.alloc grows by 300 in the second and in the third second.
    changes: Float64Array.from([
      ...[1, 0, 300, 3],
      ...[2, 0, 300, 3, 2, 3, 100, 1],
      ...[3, 1, 200, 2],
      ...[5, 0, -50, -1],
    ]),
  };
}

export function knownPage(more: Partial<PageData> = {}): PageData {
  const options = {
    title: 'known',
    moment: 'peak',
    leftOut: '',
    splitThreads: true,
    isInverted: false,
  } as const;
  return { ...pageData(knownReport(), options), ...more };
}
