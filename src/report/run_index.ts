/** A capture as one of the processes of a run. */
import type { CaptureReport } from '../capture/capture_model.ts';
import type { IndexData } from './page_model.ts';

/** `href`: its page, relative to the index. */
export function indexProcess(
  { stats, series }: CaptureReport,
  href: string,
): IndexData['processes'][number] {
  const known = (value: number): number | null => (Number.isNaN(value) ? null : value);
  const sum = (i: number): number =>
    (series.rssAnon[i] ?? NaN) + (series.rssFile[i] ?? NaN) + (series.rssShmem[i] ?? NaN);
  const rss = Array.from(series.timeMs, (_, i) => known(sum(i)));
  const most = rss.reduce<number | null>(
    (peak, one) => (one === null ? peak : Math.max(peak ?? 0, one)),
    null,
  );
  return {
    name: stats.role ?? 'process',
    href: encodeURIComponent(href),
    pid: stats.pid,
    startedAtMs: stats.startedAtMs ?? 0,
    peakRssBytes: most,
    peakTrackedBytes: stats.peakBytes,
    leakedBytes: stats.leakedBytes,
    events: stats.events,
    damage: stats.damage,
    timeMs: Array.from(series.timeMs),
    rssBytes: rss,
  };
}
