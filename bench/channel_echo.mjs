// The other end of a round trip through channels: it looks at each object and sends it back.
import { open } from './store_memdrift.mjs';

const [, , name, there, back] = process.argv;
const store = await open(name);
const answers = store.channel(back);
for await (const object of store.channel(there)) {
  if (object.bytes[0] !== 3) throw new Error('a byte that nobody wrote');
  await answers.send(object);
  object.release();
}
await answers.close();
store.close();
