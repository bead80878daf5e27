/** Logs of `memdrift watch` as a page, for `memdrift report`. */
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MemdriftError } from '../errors.ts';
import { headerProblem, type WatchLog, WatchLogReader } from '../report/watch_log.ts';

/** A line that is longer is not one of ours, and must not fill the memory. */
const mostLineBytes = 64 << 20;

/** Those files of a folder that may be logs: who they are of, their first line says. */
export function logsIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile() === true)
    .sort();
}

/**
 * Null: it is another file of lines of JSON. A log that is cut is read as far as it goes.
 * @throws MemdriftError ERR_MALFORMED (nothing is in it), ERR_UNSUPPORTED (of a newer memdrift).
 */
export async function readWatchLog(file: string): Promise<WatchLog | null> {
  let reader: WatchLogReader | null = null;
  for await (const line of linesOf(file)) {
    if (reader !== null) {
      reader.add(line);
      continue;
    }
    const problem = headerProblem(line);
    if (problem === 'no watch log') return null;
    if (problem !== null)
      throw new MemdriftError(
        'ERR_UNSUPPORTED',
        `${file} was written by a newer version of memdrift; this one reads version 1 of the log`,
        { file },
      );
    reader = new WatchLogReader(line);
  }
  if (reader !== null) return reader.finish();
  throw new MemdriftError(
    'ERR_MALFORMED',
    `${file} is empty: the watch that made it was ended before it wrote a line, or goes on`,
    { file },
  );
}

/** By newlines alone: names may have what other readers of lines take for an end. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (part: Buffer): void => {
    bytes += part.length;
    if (bytes <= mostLineBytes) parts.push(part);
  };
  const taken = (): string => {
    // Not JSON, and so counted as what cannot be read.
    const line = bytes > mostLineBytes ? '…' : Buffer.concat(parts).toString('utf8');
    parts = [];
    bytes = 0;
    return line;
  };
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let begin = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, begin)) {
      take(chunk.subarray(begin, end));
      yield taken();
      begin = end + 1;
    }
    take(chunk.subarray(begin));
  }
  if (bytes > 0) yield taken();
}
