/** The socket of a tracked program: whatever is sent to it, the program goes on, and answers. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { binding } from '../../src/binding.ts';
import type { Control, ControlModule } from '../../src/tracker/control.cts';
import { cut, mutated } from '../mutated_messages.ts';
import { randomFrom } from '../random.ts';

const load = createRequire(import.meta.url);
const { serveControl } = load('../../dist/tracker/control.cjs') as ControlModule;

const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-'));
const calls = { start: [] as unknown[], stop: 0, explain: 0 };
let path = '';

beforeAll(async () => {
  const control: Control = {
    start: (to) => calls.start.push(to),
    stop: () => {
      calls.stop++;
      return '/tmp/stopped.mdc';
    },
    explain: (deep) => {
      calls.explain++;
      if (deep) throw new Error('too deep');
      return '{}';
    },
  };
  serveControl(folder, control, binding());
  while (path === '') {
    await new Promise((resolve) => setImmediate(resolve));
    path = readdirSync(folder)[0] ?? '';
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What is answered to these pieces; they may be more than is read. */
async function ask(pieces: readonly (Buffer | string)[]): Promise<string> {
  const socket = connect(join(folder, path));
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  for (const piece of pieces) socket.write(piece);
  socket.end();
  await closed;
  return text;
}

const valid = [
  '{"do":"stop"}',
  '{"do":"explain","deep":true}',
  '{"do":"explain"}',
  '{"do":"start","path":"/tmp/x.mdc","options":{"__proto__":{"lines":true}}}',
  '{"do":"start","path":17}',
];

it('answers with one line or not at all, and goes on', async () => {
  const random = randomFrom(5);
  for (let count = 0; count < 400; count++) {
    const bytes = mutated(random, valid);
    const text = await ask(cut(random, bytes));
    if (text !== '') {
      expect(text.indexOf('\n')).toBe(text.length - 1);
      const { path, facts, error } = JSON.parse(text) as Record<string, unknown>;
      const texts = [path, facts, error].filter((field) => field !== undefined);
      expect(texts.map((field) => typeof field)).toEqual(['string']);
    }
    if (count % 20 === 0) {
      expect(JSON.parse(await ask(['{"do":"stop"}\n']))).toEqual({ path: '/tmp/stopped.mdc' });
    }
  }
  expect(calls.start.filter((to) => typeof to !== 'string')).toEqual([]);
  expect(calls.explain).toBeGreaterThan(0);
});

it('does once what is asked, and drops what comes behind it', async () => {
  const before = calls.stop;
  const behind = Array.from({ length: 200 }, () => `${'{"do":"stop"}\n'.repeat(1000)}`);
  expect(await ask(['{"do":"stop"}\n', ...behind])).toBe('{"path":"/tmp/stopped.mdc"}\n');
  expect(calls.stop).toBe(before + 1);
});

it('ends with who asks for more than a request can be', async () => {
  expect(await ask(['x'.repeat(70_000)])).toBe('');
  expect(await ask([`{"do":"stop"${' '.repeat(70_000)}}\n`])).toBe('');
});
