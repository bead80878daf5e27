// The other end of a round trip through channels: it looks at each object and answers.
import { open } from './store_memdrift.mjs';

const [, , name, there, back] = process.argv;
const store = await open(name);
const answers = store.channel(back);
const answer = new Uint8Array(8);
for await (const object of store.channel(there, { senders: 1 })) {
  if (object.bytes[0] !== 3) throw new Error('a byte that nobody wrote');
  object.release();
  await answers.send(answer);
}
await answers.close();
store.close();
