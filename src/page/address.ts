/** What is shown, as the fragment of the address has it: a link shows the same. */

export interface Place {
  /** Functions, of the root inwards. */
  readonly zoom: readonly number[];
  readonly search: string;
  /** By name; null: those that are chosen at first. */
  readonly kinds: readonly string[] | null;
  readonly thread: string;
  readonly frames: 'mixed' | 'js' | 'native';
  readonly hidesInternals: boolean;
  /** Null: as the page was made. */
  readonly isInverted: boolean | null;
  readonly isRootBelow: boolean;
  readonly range: { readonly fromMs: number; readonly toMs: number } | null;
}

/** What cannot be read is as if it were not there. */
export function placeOf(fragment: string): Place {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ''));
  const text = (name: string): string => parameters.get(name) ?? '';
  const zoom = text('zoom')
    .split('.')
    .filter((part) => /^\d{1,9}$/.test(part));
  const [fromMs, toMs] = text('range').split('-').map(Number);
  const hasRange = Number.isFinite(fromMs) && Number.isFinite(toMs) && fromMs! < toMs!;
  const frames = text('frames');
  return {
    zoom: zoom.map(Number),
    search: text('search'),
    kinds: parameters.has('kinds') ? text('kinds').split('.') : null,
    thread: text('thread'),
    frames: frames === 'js' || frames === 'native' ? frames : 'mixed',
    hidesInternals: parameters.has('own'),
    isInverted: parameters.has('inverted') ? text('inverted') === '1' : null,
    isRootBelow: parameters.has('below'),
    range: hasRange ? { fromMs: fromMs!, toMs: toMs! } : null,
  };
}

/** Browsers refuse an address of two million characters: a deeper zoom is linked to this depth. */
const deepestLinked = 2_000;

/** The reverse of `placeOf`; what is as it was at first is left out. */
export function fragmentOf(place: Place): string {
  const parameters = new URLSearchParams();
  if (place.zoom.length > 0) parameters.set('zoom', place.zoom.slice(0, deepestLinked).join('.'));
  if (place.search !== '') parameters.set('search', place.search);
  if (place.kinds !== null) parameters.set('kinds', place.kinds.join('.'));
  if (place.thread !== '') parameters.set('thread', place.thread);
  if (place.frames !== 'mixed') parameters.set('frames', place.frames);
  if (place.hidesInternals) parameters.set('own', 'hidden');
  if (place.isInverted !== null) parameters.set('inverted', place.isInverted ? '1' : '0');
  if (place.isRootBelow) parameters.set('below', '1');
  const { range } = place;
  if (range !== null)
    parameters.set('range', `${range.fromMs.toFixed(0)}-${range.toMs.toFixed(0)}`);
  return `#${parameters}`;
}
