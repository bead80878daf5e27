/** Channels whose ends act in random orders. */
import { describe, expect, it } from 'vitest';
import { ChannelHistory } from './channel_history.ts';

const runs = Number(process.env.MEMDRIFT_TEST_HISTORIES ?? 1000);
/** A printed seed repeats its history, as far as the kernel's timing allows. */
const givenSeed = Number(process.env.MEMDRIFT_TEST_SEED ?? 0);
const atOnce = 8;

describe('a channel', () => {
  it(`loses no message silently and hangs no end in ${runs} random histories`, async () => {
    let next = givenSeed || 1 + Math.floor(Math.random() * 1e9);
    const end = next + (givenSeed ? 1 : runs);
    const wrong: string[] = [];
    const worker = async () => {
      while (next < end && wrong.length === 0) {
        const seed = next++;
        const history = await ChannelHistory.run(seed);
        if (history.wrong.length === 0) continue;
        wrong.push(`seed ${seed}: ${history.wrong.join('; ')} after ${history.steps.join(', ')}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    expect(wrong).toEqual([]);
  }, 300_000);
});
