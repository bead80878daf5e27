import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Runs `test` with the pid of a process that has ended and that its parent has not waited for. */
export async function withZombie(test: (pid: number) => Promise<void>): Promise<void> {
  // exec keeps the child and forgets that it is to be waited for. The child ends only after that:
  // a shell that is still there may wait for it between two commands.
  const child = 'until [ "$(cat /proc/$$/comm)" = sleep ]; do :; done';
  const parent = spawn('sh', ['-c', `(${child}) & echo $!; exec sleep 60`]);
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    const isZombie = () => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    while (!isZombie()) await new Promise((resolve) => setTimeout(resolve, 5));
    await test(pid);
  } finally {
    parent.kill('SIGKILL');
  }
}
