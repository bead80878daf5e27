import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isMemdriftError, MemdriftError } from '../../src/errors.ts';
import { numberFlags, spellingsOf, textFlags } from '../../src/experiment/flags.ts';
import {
  type ExperimentEnvironment,
  type ExperimentFlags,
  experimentOptionsFrom,
  systemEnvironment,
} from '../../src/experiment/options.ts';

let folder: string;
let environment: ExperimentEnvironment;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'memdrift-options-')));
  mkdirSync(join(folder, 'cwd'));
  mkdirSync(join(folder, 'system'));
  environment = {
    cwd: join(folder, 'cwd'),
    systemTmpDir: join(folder, 'system'),
    userId: process.getuid?.() ?? 0,
    sharedMemoryBytes: 20e9,
    memoryBytes: 30e9,
    pageBytes: 4096,
    maxArrayBytes: 4 * 2 ** 30,
  };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function refusalOf(flags: ExperimentFlags, more: Partial<ExperimentEnvironment> = {}): string {
  try {
    experimentOptionsFrom(flags, { ...environment, ...more });
  } catch (error) {
    if (isMemdriftError(error, 'ERR_INVALID')) return error.message;
    throw error;
  }
  throw new Error(`${JSON.stringify(flags)} was not refused`);
}

describe('defaults', () => {
  it('are those of the original experiment, and nothing is made', () => {
    expect(experimentOptionsFrom({}, environment)).toEqual({
      arraySizeBytes: 100_000_000,
      storeBytes: 10_000_000_000,
      storeLoweredFromBytes: null,
      timeoutMs: 1_000_000,
      pollIntervalMs: 1000,
      clients: 10,
      rounds: 20,
      workMs: 1000,
      trim: false,
      placement: 'lowest',
      sampleIntervalMs: 100,
      observerBudgetPercent: 1,
      tmpDir: join(folder, 'cwd/tmp/memdrift'),
      captureDir: expect.stringContaining(join(folder, 'cwd/captures/2')),
      jsonFile: null,
      quiet: false,
    });
    expect(existsSync(join(folder, 'cwd/tmp'))).toBe(false);
  });

  it('lower the store to what /dev/shm and memory hold', () => {
    const optionsOn = (more: Partial<ExperimentEnvironment>) =>
      experimentOptionsFrom({}, { ...environment, ...more });
    const lowered = { storeLoweredFromBytes: 10e9 };
    expect(optionsOn({ sharedMemoryBytes: 3e9 })).toMatchObject({ storeBytes: 3e9, ...lowered });
    expect(optionsOn({ memoryBytes: 2e9 })).toMatchObject({ storeBytes: 2e9, ...lowered });
  });

  it('say so when the lowered store cannot hold the arrays', () => {
    const message = refusalOf({}, { sharedMemoryBytes: 64 * 2 ** 20 });
    expect(message).toMatch(/--array-size 100000000 is larger than the store \(67108864 bytes/);
    expect(message).toMatch(/\/dev\/shm/);
  });

  it('come from a system that can be asked', () => {
    const system = systemEnvironment();
    expect(system.memoryBytes).toBeGreaterThan(2 ** 26);
    expect(system.sharedMemoryBytes).toBeGreaterThan(0);
    expect(system.cwd).toBe(process.cwd());
  });
});

describe('spellings', () => {
  it('of one flag mean the same', () => {
    for (const flag of ['array_size', 'array-size', 'arraySize']) {
      expect(experimentOptionsFrom({ [flag]: '8' }, environment).arraySizeBytes).toBe(8);
    }
    for (const flag of ['ray_tmp', 'ray-tmp', 'tmpDir', 'tmp_dir']) {
      expect(experimentOptionsFrom({ [flag]: folder }, environment).tmpDir).toBe(folder);
    }
    const captures = join(folder, 'new');
    for (const flag of ['mray_dir', 'capture-dir']) {
      expect(experimentOptionsFrom({ [flag]: captures }, environment).captureDir).toBe(captures);
    }
    expect(existsSync(captures)).toBe(false);
  });

  it('are never ambiguous', () => {
    const all = [...numberFlags, ...textFlags].flatMap(spellingsOf);
    expect(new Set(all).size).toBe(all.length);
    expect(all).toEqual(
      expect.arrayContaining(['obj_store_mem', 'poll-int', 'ray_tmp', 'mray-dir']),
    );
  });

  it('given twice must agree; unknown flags are refused', () => {
    expect(refusalOf({ array_size: '1', 'array-size': '2' })).toMatch(/given twice, as 1 and as 2/);
    expect(refusalOf({ array_sise: '1' })).toMatch(/--array_sise is no flag/);
  });
});

describe('numbers', () => {
  it.each([
    ['clients', 'ten', 'a whole number from 1 to 1000'],
    ['clients', '', 'a whole number from 1 to 1000'],
    ['clients', '1.5', 'a whole number from 1 to 1000'],
    ['clients', '-3', 'a whole number from 1 to 1000'],
    ['clients', '0', 'a whole number from 1 to 1000'],
    ['clients', '2000', 'a whole number from 1 to 1000'],
    ['rounds', '0', 'a whole number from 1 to'],
    ['array-size', '0', 'a whole number from 1 to'],
    ['array-size', '100MB', 'a whole number from 1 to'],
    ['array-size', '0x10', 'a whole number from 1 to'],
    ['obj-store-mem', '-1', 'a whole number from 1 to'],
    ['timeout', 'Infinity', 'a number from 0.001 to 2147483 s'],
    ['timeout', '0', 'a number from 0.001 to 2147483 s'],
    ['poll-int', '-1', 'a number from 0.001 to 2147483 s'],
    ['work-ms', '-1', 'a number from 0 to 2147483647 ms'],
    ['sample-ms', '9', 'a whole number from 10 to 60000 ms'],
    ['observer-budget', '101', 'a number from 0.01 to 100 % of a core'],
    ['observer-budget', 'NaN', 'a number from 0.01 to 100 % of a core'],
  ])('--%s %s is refused with what is allowed', (flag, value, allowed) => {
    const message = refusalOf({ [flag]: value });
    expect(message.startsWith(`--${flag} ${value} is `)).toBe(true);
    expect(message).toContain(`give ${allowed}`);
  });

  it('at the ends of their ranges are taken, times in fractions of a second too', () => {
    const flags = { clients: '1000', array_size: '1', timeout: '0.5', poll_int: '0.25' };
    expect(experimentOptionsFrom(flags, environment)).toMatchObject({
      clients: 1000,
      arraySizeBytes: 1,
      timeoutMs: 500,
      pollIntervalMs: 250,
    });
    expect(experimentOptionsFrom({ clients: '1', work_ms: '0' }, environment).workMs).toBe(0);
  });
});

it('numbers of a program need not be text', () => {
  const options = experimentOptionsFrom({ clients: 3, arraySize: 1e6, timeout: 0.5 }, environment);
  expect(options).toMatchObject({ clients: 3, arraySizeBytes: 1_000_000, timeoutMs: 500 });
  expect(refusalOf({ clients: Number.NaN })).toMatch(/--clients NaN is not a whole number/);
});

describe('words and switches', () => {
  it('are checked', () => {
    expect(refusalOf({ placement: 'highest' })).toMatch(/--placement highest .*lowest or rotate/);
    expect(refusalOf({ trim: 'yes' })).toMatch(/--trim yes: it takes no value/);
    expect(refusalOf({ json: '' })).toMatch(/--json "" is not a path/);
    const flags = { placement: 'rotate', trim: true, quiet: true };
    expect(experimentOptionsFrom(flags, environment)).toMatchObject(flags);
  });
});

describe('sizes', () => {
  it('of an array larger than the store', () => {
    expect(refusalOf({ array_size: '2000', obj_store_mem: '1000', clients: '1' })).toMatch(
      /^--array-size 2000 is larger than the store \(--obj-store-mem 1000\); lower --array-size/,
    );
  });

  it('of arrays that are together larger than the store, in whole pages', () => {
    const flags = { array_size: '4097', clients: '2' };
    expect(refusalOf({ ...flags, obj_store_mem: '16383' })).toMatch(
      /--clients 2 times --array-size 4097 is 16384 bytes in whole pages, larger than the store/,
    );
    const options = experimentOptionsFrom({ ...flags, obj_store_mem: '16384' }, environment);
    expect(options.storeBytes).toBe(16384);
  });

  it('of a given store larger than /dev/shm or memory', () => {
    expect(refusalOf({ obj_store_mem: '20000000001' })).toMatch(
      /^--obj-store-mem 20000000001 is larger than \/dev\/shm, which holds 20000000000 bytes/,
    );
    expect(refusalOf({ obj_store_mem: '15000000000' }, { memoryBytes: 12e9 })).toMatch(
      /larger than memory, which is 12000000000 bytes; give at most 12000000000/,
    );
  });

  it('of an array that this Node cannot hold', () => {
    expect(refusalOf({ array_size: `${4 * 2 ** 30 + 1}` })).toMatch(/give at most 4294967296/);
  });
});

describe('folders and files', () => {
  it('for captures must be empty or new', () => {
    mkdirSync(join(folder, 'cwd/full'));
    writeFileSync(join(folder, 'cwd/full/file'), '');
    mkdirSync(join(folder, 'cwd/empty'));
    expect(refusalOf({ capture_dir: './full' })).toMatch(/--capture-dir .\/full is not empty \(1/);
    expect(refusalOf({ mray_dir: 'full/file' })).toMatch(/is not a folder/);
    const { captureDir } = experimentOptionsFrom({ mray_dir: './empty' }, environment);
    expect(captureDir).toBe(join(folder, 'cwd/empty'));
    expect(experimentOptionsFrom({ captures: false }, environment).captureDir).toBeNull();
    expect(refusalOf({ captures: false, mray_dir: './empty' })).toMatch(/contradict each other/);
  });

  it('given for temporary files must be absolute and possible', () => {
    expect(refusalOf({ tmp_dir: 'tmp/ray' })).toMatch(
      /^--tmp-dir tmp\/ray is relative; give an abs/,
    );
    writeFileSync(join(folder, 'file'), '');
    const message = refusalOf({ tmp_dir: join(folder, 'file/below') });
    expect(message).toMatch(/cannot be used: ENOTDIR: not a directory/);
  });

  it('fall back to a folder of this user alone where the working folder cannot be written', () => {
    writeFileSync(join(folder, 'file'), '');
    const elsewhere = { ...environment, cwd: join(folder, 'file') };
    const expected = join(folder, `system/memdrift-${environment.userId}`);
    expect(experimentOptionsFrom({}, elsewhere).tmpDir).toBe(expected);
    expect(lstatSync(expected).mode & 0o777).toBe(0o700);
    expect(experimentOptionsFrom({}, elsewhere).tmpDir).toBe(expected);
    chmodSync(expected, 0o770);
    expect(refusalOf({}, elsewhere)).toMatch(/only this user can enter/);
    rmSync(expected, { recursive: true });
    symlinkSync(join(folder, 'cwd'), expected);
    expect(refusalOf({}, elsewhere)).toMatch(/no link/);
  });

  it('fall back to it where every user could be first to make the folder', () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o1777);
    const { tmpDir } = experimentOptionsFrom({}, { ...environment, cwd: open });
    expect(tmpDir).toBe(join(folder, `system/memdrift-${environment.userId}`));
  });

  it('for the JSON report must be possible before the start', () => {
    expect(refusalOf({ json: 'absent/report.json' })).toMatch(
      /--json .* cannot be written: ENOENT/,
    );
    expect(refusalOf({ json: folder })).toMatch(/it is a folder/);
    const { jsonFile } = experimentOptionsFrom({ json: 'report.json' }, environment);
    expect(jsonFile).toBe(join(folder, 'cwd/report.json'));
  });
});

it('an error is one for programs too', () => {
  expect(() => experimentOptionsFrom({ clients: '0' }, environment)).toThrow(MemdriftError);
});
