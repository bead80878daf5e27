/** A real Prometheus scrapes a watch, and has the value when it is asked for it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, test } from 'vitest';
import { readCounters } from '../../src/proc/counters.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const prometheus = process.env.MEMDRIFT_TEST_PROMETHEUS ?? '/usr/bin/prometheus';

const folder = mkdtempSync(join(tmpdir(), 'memdrift-prometheus-'));
afterAll(() => rmSync(folder, { recursive: true }));
const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** Holds 100 MB and tells its number; ends with its input. */
const holder = `globalThis.held = Buffer.alloc(100e6, 1); console.log(process.pid);
  process.stdin.resume().on('end', () => process.exit(7));`;

/** Where it is not installed it says so; with CI set it fails. */
function testWithPrometheus(name: string, run: () => Promise<void>): void {
  if (existsSync(prometheus) || process.env.CI) test(name, run, 120_000);
  else process.stderr.write(`not run: ${prometheus} is not there\n`);
}

interface Watch {
  readonly child: ChildProcess;
  readonly url: string;
  readonly pid: number;
}

async function startWatch(): Promise<Watch> {
  const args = ['watch', '--prometheus', ':0', '--limit', '1G', '--', process.execPath];
  const child = spawn(process.execPath, [cli, ...args, '-e', holder]);
  running.push(child);
  const [stderr, stdout] = [createInterface(child.stderr), createInterface(child.stdout)];
  const [[told], [pid]] = await Promise.all([once(stderr, 'line'), once(stdout, 'line')]);
  const [url] = /http:\S+/.exec(told as string) ?? [];
  return { child, url: url as string, pid: Number(pid) };
}

/** A port that nobody had a moment ago: Prometheus does not tell which it took. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function startPrometheus(target: string): Promise<string> {
  const config = join(folder, 'prometheus.yml');
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '200ms', scrape_timeout: '200ms' },
      scrape_configs: [{ job_name: 'memdrift', static_configs: [{ targets: [target] }] }],
    }),
  );
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    prometheus,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  running.push(child);
  return `http://${address}`;
}

interface Answer {
  readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}

/** Null while it has none, or does not answer yet. */
async function latestOf(server: string, query: string): Promise<number | null> {
  const address = `${server}/api/v1/query?query=${encodeURIComponent(query)}`;
  const response = await fetch(address).catch(() => null);
  if (response?.ok !== true) return null;
  const { data } = (await response.json()) as Answer;
  const [first] = data.result;
  return first === undefined ? null : Number(first.value[1]);
}

async function scraped(server: string, query: string): Promise<number> {
  const end = Date.now() + 60_000;
  for (;;) {
    const value = await latestOf(server, query);
    if (value !== null) return value;
    if (Date.now() > end) throw new Error(`Prometheus has no ${query}`);
    await sleep(100);
  }
}

testWithPrometheus('Prometheus has what the watch had when it is asked', async () => {
  const watch = await startWatch();
  const server = await startPrometheus(new URL(watch.url).host);
  const rss = await scraped(server, 'memdrift_group_sum_rss_bytes > 100e6');
  const { rssBytes } = readCounters(watch.pid);
  expect(Math.abs(rss - (rssBytes as number))).toBeLessThan(5e6);
  expect(await scraped(server, 'up{job="memdrift"}')).toBe(1);
  expect(await scraped(server, 'memdrift_group_limit_bytes')).toBe(2 ** 30);
  expect(await scraped(server, 'sum(memdrift_processes)')).toBe(1);
  const parts = await scraped(server, 'sum(memdrift_process_resident_memory_bytes)');
  expect(Math.abs(parts - rss)).toBeLessThan(5e6);
  const peak = await scraped(server, 'memdrift_group_sum_rss_peak_bytes > 100e6');
  expect(peak).toBeGreaterThanOrEqual(rss);
  expect(await scraped(server, 'count({__name__=~"memdrift_.+"})')).toBeGreaterThan(10);
  const text = await (await fetch(watch.url)).text();
  const promtool = join(dirname(prometheus), 'promtool');
  const { status, stdout } = spawnSync(promtool, ['check', 'metrics'], { input: text });
  expect([status, String(stdout)]).toEqual([0, '']);
  watch.child.stdin?.end();
  const [code] = await once(watch.child, 'exit');
  expect(code).toBe(7);
  await expect(fetch(watch.url)).rejects.toThrow();
});

test('a port that is taken is told before the command begins', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const begun = join(folder, 'begun');
  const args = ['watch', '--prometheus', `:${port}`, '--', 'touch', begun];
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  running.push(child);
  const [told] = await once(createInterface(child.stderr as NodeJS.ReadableStream), 'line');
  const [code] = await once(child, 'exit');
  server.close();
  expect(told).toMatch(/^memdrift: cannot serve metrics on 127.0.0.1:\d+: the port is in use/);
  expect(code).toBe(1);
  expect(existsSync(begun)).toBe(false);
});
