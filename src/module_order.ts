/**
 * Loads modules one after another. Node reads all modules that one imports at once, with a
 * descriptor for each: under `ulimit -n 20` a command would end before it began.
 */
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';

/** Node itself has some twenty open; the modules of a command are read fifteen at a time. */
const enoughDescriptors = 64;

/** True where this process may open fewer descriptors than Node takes to load a command. */
function hasFewDescriptors(): boolean {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft !== undefined && Number(soft) < enoughDescriptors;
  } catch {
    return false; // no /proc, or no descriptor for it
  }
}

/** What a compiled module imports before it runs: `from "…"` and `import "…"`. */
const importPattern = /^(?:import|export)\s(?:[^'"]*?\sfrom\s+)?["']([^"']+)["']/gm;

/**
 * Loads the compiled module at `url`, each of its imports before it and one file at a time.
 * Does nothing where descriptors are many: then Node is faster.
 */
export async function loadInTurn(url: URL): Promise<void> {
  if (hasFewDescriptors()) await load(url, new Set());
}

async function load(url: URL, loaded: Set<string>): Promise<void> {
  if (loaded.has(url.href)) return;
  loaded.add(url.href);
  for (const [, name = ''] of readFileSync(url, 'utf8').matchAll(importPattern)) {
    if (name.startsWith('.')) await load(new URL(name, url), loaded);
    else if (!isBuiltin(name)) await load(new URL(import.meta.resolve(name)), loaded);
  }
  await import(url.href);
}
