/** Output that commands make piece by piece. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { jsonPieces } from '../../src/commands/program.ts';

const program = new URL('../../dist/commands/program.js', import.meta.url);
/** Says on stderr how it ended. */
const endless = `
  import { Command } from 'commander';
  import { configureProgram, runProgram, writePieces } from '${program}';
  const piece = 'x'.repeat(99) + '\\n';
  function* pieces() { for (;;) yield piece; }
  const write = async () => console.error('taken:', await writePieces(pieces()));
  await runProgram(configureProgram(new Command()).action(write));`;

test('what nobody takes any more is not made', () => {
  const line = 'set -o pipefail; "$1" --input-type=module -e "$2" | head -n 1; echo $?';
  const { stdout, stderr } = spawnSync('bash', ['-c', line, '-', process.execPath, endless], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect([stdout.trim(), stderr]).toEqual([`${'x'.repeat(99)}\n0`, 'taken: false\n']);
});

test('writes JSON as JSON.stringify does, lists of generators too', () => {
  function* rows(): Generator<unknown> {
    yield { stack: [{ name: 'a\nb' }], none: null, left: undefined };
    yield [];
  }
  const others = { text: 'x', empty: [], nested: { list: [1, [2]], no: {} }, not: undefined };
  const pieces = jsonPieces({ ...others, rows: rows(), none: none() });
  const whole = { ...others, rows: [...rows()], none: [] };
  expect(Array.from(pieces).join('')).toBe(`${JSON.stringify(whole, null, 2)}\n`);
});

function* none(): Generator<never> {}
