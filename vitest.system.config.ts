import { defineConfig } from 'vitest/config';

// Tests that need what npm does not install: sanitizers, another user, cgroups, psutil, tmux. One
// file at a time, because they measure the machine.
export default defineConfig({
  test: {
    include: ['test/system/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
    reporters: ['default', './test/closing_line.ts'],
  },
});
