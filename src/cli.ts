#!/usr/bin/env node
/**
 * The `memdrift` command, in command_line.ts. This file imports nothing: where descriptors are few,
 * even two modules that Node reads at once are too many.
 */
const { loadInTurn } = await import('./module_order.ts');
await loadInTurn(new URL('./command_line.js', import.meta.url));
const { runCommandLine } = await import('./command_line.ts');
await runCommandLine();
