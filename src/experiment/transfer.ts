/** The two things that both roles do with an array: make one, and check one. */
import type { ChildContext } from './child.ts';
import { type ArrayIdentity, checkArray, fillArray } from './pattern.ts';

/** Creates an array in the store's own memory, fills it in place and seals it; returns its id. */
export async function makeArray(context: ChildContext, identity: ArrayIdentity): Promise<number> {
  const { store, setup } = context;
  const object = await store.createAsync(setup.arraySizeBytes);
  context.viewBytes += setup.arraySizeBytes;
  try {
    await fillArray(object.bytes, identity);
    object.seal();
    return object.id;
  } catch (error) {
    object.abort();
    throw error;
  } finally {
    context.viewBytes -= setup.arraySizeBytes;
  }
}

export interface Received {
  readonly id: number;
  readonly identity: ArrayIdentity;
  /** Runs while the array is held, after it was checked. */
  readonly beforeRelease?: () => Promise<void>;
}

/** Gets an array, checks every byte, releases and deletes it: nobody else will want it. */
export async function checkAndRelease(context: ChildContext, received: Received): Promise<void> {
  const { store } = context;
  const object = await store.get(received.id);
  const sizeBytes = object.bytes.length;
  context.viewBytes += sizeBytes;
  try {
    await checkArray(object.bytes, received.identity);
    context.arraysChecked++;
    await received.beforeRelease?.();
  } finally {
    object.release();
    context.viewBytes -= sizeBytes;
  }
  store.delete(received.id);
}
