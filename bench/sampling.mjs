// What samples of 512 KiB cost real work, beside V8's sampling heap profiler by @datadog/pprof.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const title = 'one allocation in 512 KiB';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

/** MEMDRIFT_BENCH_RIVALS: a folder in which the rival was installed. */
function rivalModule(context) {
  try {
    const from = join(process.env.MEMDRIFT_BENCH_RIVALS ?? '.', 'package.json');
    return createRequire(from).resolve('@datadog/pprof');
  } catch {
    context.skip('@datadog/pprof', 'it is not installed');
    return null;
  }
}

const works = {
  json: ['JSON', 1],
  zlib: ['zlib', 1],
  http: ['an HTTP server under load', 1],
  buffers: ['a loop that only makes Buffers', 3],
};

export async function run(context) {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  try {
    const addon = join(folder, 'ground_truth.node');
    const headers = file('../node_modules/node-api-headers/include');
    const flags = ['-O2', '-shared', '-fPIC', '-fvisibility=hidden', '-I', headers];
    const source = file('../test/native/ground_truth.c');
    execFileSync('cc', [...flags, source, '-o', addon, '-lpthread', '-ldl']);
    const rival = rivalModule(context);
    const load = (kind, ...more) => {
      const script = [file('sampling_load.mjs'), addon, folder, kind, ...more];
      return JSON.parse(execFileSync(process.execPath, script, { encoding: 'utf8' }));
    };
    const percent = ({ ratio }) => (ratio - 1) * 100;
    for (const [kind, [what, atMost]] of Object.entries(works)) {
      context.row({
        what: `${what}, slower by`,
        ours: percent(load(kind)),
        rival: rival && percent(load(kind, rival)),
        rivalName: '@datadog/pprof, JavaScript heap only',
        unit: '%',
        budget: { atMost },
      });
    }
    const { ratio, perPairNs } = load('pairs');
    context.row({
      what: 'a bare malloc and free, longer by',
      ours: (ratio - 1) * perPairNs,
      rival: null,
      unit: 'ns',
      budget: { atMost: 3 },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
