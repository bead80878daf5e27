import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/experiment/turns.ts';

describe('Turns', () => {
  it('lets no more than its number work at a time, in the order in which they came', async () => {
    const turns = new Turns(2);
    const began: number[] = [];
    const ends: (() => void)[] = [];
    const tasks = [0, 1, 2, 3].map((index) =>
      turns.take(() => {
        began.push(index);
        return new Promise<number>((resolve) => ends.push(() => resolve(index)));
      }),
    );
    await Promise.resolve();
    expect(began).toEqual([0, 1]);
    ends[1]?.();
    expect(await tasks[1]).toBe(1);
    expect(began).toEqual([0, 1, 2]);
    ends[0]?.();
    expect(await tasks[0]).toBe(0);
    expect(began).toEqual([0, 1, 2, 3]);
    ends[2]?.();
    ends[3]?.();
    expect(await Promise.all(tasks)).toEqual([0, 1, 2, 3]);
  });

  it('goes on after a task that failed', async () => {
    const turns = new Turns(1);
    const failed = turns.take(() => Promise.reject(new Error('no')));
    const second = turns.take(() => Promise.resolve('yes'));
    await expect(failed).rejects.toThrow('no');
    await expect(second).resolves.toBe('yes');
    await expect(turns.take(() => Promise.resolve('again'))).resolves.toBe('again');
  });
});
