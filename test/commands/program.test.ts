/** Output that commands make piece by piece. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

const program = new URL('../../dist/commands/program.js', import.meta.url);
/** Says on stderr how it ended. */
const endless = `
  import { runProgram, writePieces } from '${program}';
  const piece = 'x'.repeat(99) + '\\n';
  function* pieces() { for (;;) yield piece; }
  const parseAsync = async () => console.error('taken:', await writePieces(pieces()));
  await runProgram({ parseAsync });`;

test('what nobody takes any more is not made', () => {
  const line = 'set -o pipefail; "$1" --input-type=module -e "$2" | head -n 1; echo $?';
  const { stdout, stderr } = spawnSync('bash', ['-c', line, '-', process.execPath, endless], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect([stdout.trim(), stderr]).toEqual([`${'x'.repeat(99)}\n0`, 'taken: false\n']);
});
