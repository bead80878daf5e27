/**
 * Random histories of one channel: ends come, send, close and leave in any order, on attachments of
 * their own. The answers that each end got are checked against the states in docs/channels.md.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Channel } from '../../src/shm/channel.ts';
import { Store } from '../../src/shm/store.ts';
import type { StoreObject } from '../../src/shm/store_object.ts';
import { freshName } from './processes.ts';

/** Returns a source of numbers below `bound`, the same for the same seed. */
export type Random = (bound: number) => number;

export function randomOf(seed: number): Random {
  let state = (seed % 2147483646) + 1;
  return (bound) => {
    state = (state * 48271) % 2147483647;
    return Math.floor((state / 2147483647) * bound);
  };
}

interface Told {
  readonly call: string;
  readonly code: string | null;
  readonly lost: number;
}

class SenderEnd {
  readonly sent: number[] = [];
  readonly told: Told[] = [];
  readonly calls: Promise<void>[] = [];
  readonly store: Store;
  readonly #channel: Channel<StoreObject>;
  readonly #number: number;
  #count = 0;
  hasLeft = false;

  constructor(store: Store, number: number, highWaterMark: number) {
    this.store = store;
    this.#channel = store.channel('data', { highWaterMark });
    this.#number = number;
  }

  send(): void {
    const value = this.#number * 1000 + this.#count++;
    const call = this.#channel.send(new Uint32Array([value]));
    this.#note(
      'send',
      call.then(() => this.sent.push(value)),
    );
  }

  connect(): void {
    this.#note('connect', this.#channel.connect());
  }

  close(): void {
    this.#note('close', this.#channel.close());
  }

  leave(): void {
    this.hasLeft = true;
    this.store.close();
  }

  #note(call: string, promise: Promise<unknown>): void {
    const note = (code: string | null, lost: number) => {
      this.told.push({ call, code, lost });
    };
    this.calls.push(
      promise.then(
        () => note(null, 0),
        (error) => note(error.code ?? String(error), error.details?.lost ?? 0),
      ),
    );
  }
}

class ReceiverEnd {
  readonly values: number[] = [];
  readonly senders: number | undefined;
  readonly ended: Promise<void>;
  readonly store: Store;
  readonly #channel: Channel<StoreObject>;
  wasClosed = false;
  /** The error of its iteration, except for messages that a sender left behind. */
  code: string | null = null;

  constructor(store: Store, senders: number | undefined, random: Random) {
    this.store = store;
    this.senders = senders;
    const options = senders === undefined ? {} : { senders };
    this.#channel = store.channel('data', { ...options, highWaterMark: 1 + random(4) });
    this.ended = this.#run(random);
  }

  close(): void {
    this.wasClosed = true;
    void this.#channel.close();
  }

  leave(): void {
    this.wasClosed = true;
    this.store.close();
  }

  async #run(random: Random): Promise<void> {
    for (;;) {
      try {
        for await (const object of this.#channel) {
          this.values.push(object.as('uint32')[0] ?? -1);
          object.release();
          if (random(3) === 0) await turn();
        }
        return;
      } catch (error) {
        const { code, details } = error as { code: string; details: { lost?: number } };
        if (code === 'ERR_GONE' && details.lost) continue;
        this.code = code;
        return;
      }
    }
  }
}

/** All ends of one history; `wrong` lists the broken promises. */
export class ChannelHistory {
  readonly wrong: string[] = [];
  readonly steps: string[] = [];
  readonly #random: Random;
  readonly #maker: Store;
  /** Outlives the maker's attachment, so that others can still attach. */
  readonly #watch: Store;
  readonly #senders: SenderEnd[] = [];
  readonly #receivers: ReceiverEnd[] = [];
  readonly #stores: Store[] = [];
  #isMakerOpen = true;

  private constructor(stores: { maker: Store; watch: Store }, random: Random) {
    this.#maker = stores.maker;
    this.#watch = stores.watch;
    this.#random = random;
  }

  static async run(seed: number): Promise<ChannelHistory> {
    const random = randomOf(seed);
    const maker = await Store.create({ name: freshName('history'), capacityBytes: 1_000_000 });
    const watch = await Store.open(maker.name);
    const history = new ChannelHistory({ maker, watch }, random);
    try {
      const steps = 4 + random(12);
      for (let step = 0; step < steps; step++) await history.#step();
      await history.#end();
    } finally {
      for (const store of [maker, watch, ...history.#stores]) store.close();
    }
    return history;
  }

  async #step(): Promise<void> {
    const what = this.#random(20);
    if (what < 4) await this.#addSender();
    else if (what < 10) this.#ofSender('send', (one) => one.send());
    else if (what < 11) this.#ofSender('connect', (one) => one.connect());
    else if (what < 13) this.#ofSender('close', (one) => one.close());
    else if (what < 14) this.#ofSender('leave', (one) => one.leave());
    else if (what < 16) await this.#addReceiver();
    else if (what < 17) this.#ofReceiver('close', (one) => one.close());
    else if (what < 18 && this.#random(3) === 0) this.#ofReceiver('leave', (one) => one.leave());
    else if (what < 19 && this.#random(4) === 0) this.#closeMaker();
    else await sleep(this.#random(4));
    if (this.#random(2) === 0) await turn();
  }

  async #attach(): Promise<Store> {
    const store = await Store.open(this.#maker.name);
    this.#stores.push(store);
    return store;
  }

  async #addSender(): Promise<void> {
    this.steps.push(`sender ${this.#senders.length}`);
    const store = await this.#attach();
    this.#senders.push(new SenderEnd(store, this.#senders.length, 1 + this.#random(4)));
  }

  async #addReceiver(): Promise<void> {
    const senders = this.#random(2) === 0 ? undefined : 1 + this.#random(3);
    this.steps.push(`receiver ${this.#receivers.length} of ${senders}`);
    const store = await this.#attach();
    this.#receivers.push(new ReceiverEnd(store, senders, this.#random));
  }

  #ofSender(name: string, action: (one: SenderEnd) => void): void {
    const index = this.#random(this.#senders.length);
    const one = this.#senders[index];
    if (one === undefined) return;
    this.steps.push(`${name} by sender ${index}`);
    action(one);
  }

  #ofReceiver(name: string, action: (one: ReceiverEnd) => void): void {
    const index = this.#random(this.#receivers.length);
    const one = this.#receivers[index];
    if (one === undefined) return;
    this.steps.push(`${name} by receiver ${index}`);
    action(one);
  }

  #closeMaker(): void {
    this.steps.push('maker closes');
    this.#isMakerOpen = false;
    this.#maker.close();
  }

  /** Closes every end, after which no call may wait. */
  async #end(): Promise<void> {
    this.steps.push('end');
    for (const one of this.#senders) one.close();
    await sleep(this.#random(6));
    for (const one of this.#receivers) one.close();
    if (this.#isMakerOpen) this.#closeMaker();
    const calls = this.#senders.flatMap((one) => one.calls);
    await this.#settles([...calls, ...this.#receivers.map((one) => one.ended)]);
    this.#check();
    for (const store of this.#stores) store.close();
    const left = this.#watch.list().length;
    if (left > 0) this.wrong.push(`${left} objects are left`);
  }

  async #settles(all: readonly Promise<void>[]): Promise<void> {
    // A second is promised; the rest is for a loaded machine.
    const late = sleep(10_000, 'late', { ref: false });
    if ((await Promise.race([Promise.all(all), late])) === 'late') {
      this.wrong.push('a call or an iteration did not end');
    }
  }

  #check(): void {
    const received = this.#receivers.flatMap((one) => one.values);
    if (new Set(received).size !== received.length) this.wrong.push('a message came twice');
    for (const one of this.#receivers) this.#checkReceiver(one);
    this.#senders.forEach((one, number) => {
      this.#checkSender(one, number, received);
    });
  }

  #checkReceiver(one: ReceiverEnd): void {
    const numbers = new Set(one.values.map((value) => Math.floor(value / 1000)));
    if (one.senders !== undefined && numbers.size > one.senders) {
      this.wrong.push(`${numbers.size} senders where ${one.senders} were waited for`);
    }
    for (const number of numbers) {
      const of = one.values.filter((value) => Math.floor(value / 1000) === number);
      if (of.some((value, at) => at > 0 && value <= (of[at - 1] ?? 0))) {
        this.wrong.push(`messages of sender ${number} out of order`);
      }
    }
    const allowed = [null, 'ERR_EXISTS', 'ERR_CLOSED'];
    if (!allowed.includes(one.code)) this.wrong.push(`an iteration threw ${one.code}`);
  }

  #checkSender(one: SenderEnd, number: number, received: readonly number[]): void {
    const missing = one.sent.filter((value) => !received.includes(value)).length;
    const codes = one.told.map(({ code }) => code);
    const lost = Math.max(0, ...one.told.map((told) => told.lost));
    // A store's close() does not wait: the receiver may count the messages that it left behind.
    const isTold = one.hasLeft || missing === lost;
    if (!isTold) this.wrong.push(`sender ${number} was told of ${lost} lost, and ${missing} are`);
    const isClean = codes.every((code) => code === null);
    if (isClean && missing > 0)
      this.wrong.push(`sender ${number} lost ${missing} without an error`);
    // Every end here closes.
    const strange = codes.filter((code) => code !== null && code !== 'ERR_CLOSED');
    if (strange.length > 0) this.wrong.push(`sender ${number} was told ${strange}`);
  }
}
