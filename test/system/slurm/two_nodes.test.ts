import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeInSlurm, SlurmCluster } from './cluster.ts';

const cli = join(import.meta.dirname, '../../../dist/cli.js');
const docs = join(import.meta.dirname, '../../../docs/slurm.md');
const MiB = 1 << 20;

/** The example of docs/slurm.md, with what it runs replaced. */
function exampleScript(command: string): string {
  const text = readFileSync(docs, 'utf8');
  const example = /```sh\n#!\/bin\/bash\n([\s\S]*?)```/.exec(text)?.[1] as string;
  const body = example.split('\n').filter((line) => !line.startsWith('#SBATCH'));
  const ours = body.join('\n').replaceAll('memdrift ', `${process.execPath} ${cli} `);
  expect(ours).toContain('./train.sh');
  return ours.replace('./train.sh', command);
}

interface Log {
  readonly header: { readonly slurm: Readonly<Record<string, string>>; readonly host: string };
  readonly summary: { readonly views: { slurmDefault: { rangeBytes: [number, number] } } };
}

function readLog(file: string): Log {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return { header: JSON.parse(lines[0] as string), summary: JSON.parse(lines.at(-1) as string) };
}

describeInSlurm(() => {
  let cluster: SlurmCluster;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'memdrift-nodes-'));
    cluster = await SlurmCluster.start();
  });

  afterAll(async () => {
    await cluster?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the tasks of two nodes write into one folder, which becomes the job's page", async () => {
    // 60 MiB on the first node, 120 on the second, for four of SLURM's periods.
    const size = '(int(os.environ["SLURM_NODEID"]) + 1) * 60';
    const hold = `import os, time; x = bytearray(b"x") * (${size} << 20); time.sleep(4)`;
    const job = await cluster.run({
      nodes: ['plain', 'second'],
      memoryMb: 1000,
      script: `cd ${folder}\n${exampleScript(`python3 -c '${hold}'`)}`,
    });
    const step = job.rows.get('.0');
    expect(step?.state, job.output).toBe('COMPLETED');

    const logs = join(folder, `memdrift-${job.id}`);
    const files = readdirSync(logs).filter((name) => name.endsWith('.jsonl'));
    const read = files.map((name) => readLog(join(logs, name)));
    expect(read.map(({ header }) => header.slurm.nodeName).sort()).toEqual(['plain', 'second']);
    for (const name of files) expect(statSync(join(logs, name)).mode & 0o777).toBe(0o600);
    // The row of a step is its largest task.
    const [low, high] = [0, 1].map((end) =>
      Math.max(...read.map(({ summary }) => summary.views.slurmDefault.rangeBytes[end] as number)),
    ) as [number, number];
    expect(step?.maxRssBytes).toBeGreaterThanOrEqual(low);
    expect(step?.maxRssBytes).toBeLessThanOrEqual(high);
    expect(step?.maxRssBytes).toBeGreaterThan(120 * MiB);

    // What the example's last line has made.
    const page = readFileSync(join(logs, 'watch.html'), 'utf8');
    for (const node of ['plain', 'second']) expect(page).toContain(node);
  });
});
