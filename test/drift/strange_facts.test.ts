/** The process that is explained says itself what is in it: it may say anything. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { explain } from '../../src/drift/explain.ts';
import { socketPathFor } from '../../src/socket_folder.ts';
import { listenDuringTests } from '../listening.ts';

const program = spawn('sleep', ['1000']);
const pid = program.pid ?? 0;
const path = socketPathFor(`tracked-${pid}-test`);
let facts = '';
const server = createServer((socket) => {
  socket.on('error', () => {}).end(`${JSON.stringify({ facts })}\n`);
});
listenDuringTests(server, path);
afterAll(() => {
  program.kill();
});

it.each(['', 'null', '{}', '[1]', '{"mappings":7}', '{"mappings":[null],"malloc":{}}'])(
  'where it says %j an estimate is made from outside, and says why',
  async (said) => {
    facts = said;
    const { source, sourceReason } = await explain(pid);
    expect(source).toBe('outside');
    expect(sourceReason).toMatch(/sent what are no facts of it/);
  },
);
