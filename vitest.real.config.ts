import { defineConfig } from 'vitest/config';

// Programs on real packages, which npm does not install here: README says how. One at a time, since
// they share the processors with busy loops on purpose. A difference is a failure at once: a crash
// that comes once in twenty runs would pass a second try.
export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 200_000,
    hookTimeout: 200_000,
    retry: 0,
    reporters: ['default', './test/closing_line.ts'],
  },
});
