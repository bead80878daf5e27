/** The source line that called into a module, for lists that people read. */
import { basename } from 'node:path';

/**
 * `file.js:line` of the nearest caller outside of `ownUrl`, the import.meta.url of the module that
 * asks. Costs some microseconds. The stack is taken as text, because Error.prepareStackTrace
 * belongs to the program.
 */
export function callSite(ownUrl: string): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, callSite);
  const frames = (holder.stack ?? '').split('\n').slice(1);
  // Some loaders, those of test runners among them, name the files of modules by their paths.
  const own = ownUrl.replace(/^file:\/\//, '');
  const frame = frames.find((line) => !line.includes(own));
  const place = /\(?([^()\s]+):(\d+):\d+\)?$/.exec(frame ?? '');
  return place ? `${basename(place[1] ?? '')}:${place[2]}` : '';
}
