// A server under load, for benches of what tracking it costs.
import { once } from 'node:events';
import { createServer, request } from 'node:http';

/** A server that answers with JSON, asked over loopback as fast as it goes: requests per second. */
export async function http() {
  const rows = Array.from({ length: 50 }, (_, id) => ({ id, name: `row ${id}`, tags: ['a', 'b'] }));
  const server = createServer((incoming, response) => {
    const chunks = [];
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ rows, echo: body }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const options = { port, host: '127.0.0.1', method: 'POST', agent: undefined };
  const ask = () =>
    new Promise((resolve, reject) => {
      const one = request(options, (response) => {
        response.resume();
        response.on('end', resolve);
      });
      one.on('error', reject);
      one.end(JSON.stringify({ question: 'x'.repeat(500) }));
    });
  const count = 3000;
  return {
    work: async () => {
      const start = process.hrtime.bigint();
      const lane = async () => {
        for (let i = 0; i < count / 8; i++) await ask();
      };
      await Promise.all(Array.from({ length: 8 }, lane));
      return Number(process.hrtime.bigint() - start) / count;
    },
    end: () => server.close(),
  };
}
