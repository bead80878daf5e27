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
    // What the kernel, V8's threads or a scheduler does at the moment of a look is in some results: in
    // CI a test that fails runs once more, and the closing lines name it.
    retry: process.env.CI ? 1 : 0,
    reporters: ['default', './test/closing_line.ts'],
  },
});
