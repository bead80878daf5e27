/** Keys of `memdrift top`, without a terminal. */
import { describe, expect, test } from 'vitest';
import { TopKeys } from '../../src/commands/top_keys.ts';

/** A letter, or the name of a key in brackets. */
function pressAll(keys: TopKeys, ...pressed: readonly string[]): boolean {
  const shown = { offset: keys.offset, bodyRows: 10 };
  return pressed
    .map((one) => {
      const name = /^<(.+)>$/.exec(one)?.[1];
      const ctrl = name?.startsWith('C-') ?? false;
      return keys.press(
        { text: name ? '' : one, name: (name ?? one).replace('C-', ''), ctrl },
        shown,
      );
    })
    .every((goesOn) => goesOn);
}

describe('keys', () => {
  test('choose the order; R turns it round until another is chosen', () => {
    const keys = new TopKeys();
    pressAll(keys, 'p', 'R');
    expect(keys.view).toMatchObject({ sort: 'pss', isReversed: true });
    pressAll(keys, 'u');
    expect(keys.view).toMatchObject({ sort: 'uss', isReversed: false });
  });

  test.each([
    ['t', 'isTree', true],
    ['c', 'showsCommand', true],
    ['g', 'showsSegments', false],
  ] as const)('%s turns %s on and off', (key, name, turned) => {
    const keys = new TopKeys();
    pressAll(keys, key);
    expect(keys.view[name]).toBe(turned);
    pressAll(keys, key);
    expect(keys.view[name]).toBe(!turned);
  });

  test('a filter is obeyed as it is typed, Enter keeps it, Esc drops it', () => {
    const keys = new TopKeys();
    expect(pressAll(keys, '/', 'q', ' ', 'x', '<backspace>', 't')).toBe(true);
    expect(keys.message).toBe('/q t');
    expect(keys.view).toMatchObject({ filter: 'q t', isTree: false });
    expect(keys.isPaused).toBe(false);
    pressAll(keys, '<return>', 't');
    expect(keys.message).toBe('');
    expect(keys.view).toMatchObject({ filter: 'q t', isTree: true });
    expect(pressAll(keys, '<escape>')).toBe(true);
    expect(keys.view.filter).toBe('');
    pressAll(keys, '/', 'a', '<escape>');
    expect(keys.view.filter).toBe('');
    expect(keys.message).toBe('');
  });

  test('move by lines and pages, from what is shown', () => {
    const keys = new TopKeys();
    const at = (offset: number, name: string): number => {
      keys.press({ text: '', name }, { offset, bodyRows: 10 });
      return keys.offset;
    };
    expect(at(0, 'up')).toBe(0);
    expect(at(0, 'down')).toBe(1);
    expect(at(1, 'pagedown')).toBe(11);
    expect(at(7, 'pageup')).toBe(0);
    expect(at(7, 'end')).toBe(Number.POSITIVE_INFINITY);
    expect(at(30, 'up')).toBe(29);
    expect(at(29, 'home')).toBe(0);
  });

  test('help goes with the next key', () => {
    const keys = new TopKeys();
    pressAll(keys, 'h');
    expect(keys.showsHelp).toBe(true);
    pressAll(keys, 'h');
    expect(keys.showsHelp).toBe(false);
    pressAll(keys, '?', 's');
    expect(keys.showsHelp).toBe(false);
    expect(keys.view.sort).toBe('shmem');
  });

  test('space stands still and goes on', () => {
    const keys = new TopKeys();
    pressAll(keys, ' ');
    expect(keys.isPaused).toBe(true);
    pressAll(keys, ' ');
    expect(keys.isPaused).toBe(false);
  });

  test.each([['q'], ['<C-c>']])('%s is the end', (key) => {
    expect(pressAll(new TopKeys(), key)).toBe(false);
  });

  test('Ctrl-C is the end while something is typed, too', () => {
    const keys = new TopKeys();
    pressAll(keys, '/');
    expect(pressAll(keys, '<C-c>')).toBe(false);
  });
});
