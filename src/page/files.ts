/** What leaves a page: text to the clipboard, series as a file. */
import type { PageData } from '../report/page_model.ts';

/** Whether it is there now; where there is no clipboard of that kind, by a selection. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    if (before instanceof HTMLElement) before.focus();
    return isCopied;
  }
}

/** A header, then a line per look; empty: not known. */
export function csvOf({ series }: PageData): string {
  const names = Object.keys(series) as (keyof PageData['series'])[];
  const header = names.map((name) => (name === 'timeMs' ? name : `${name}Bytes`)).join(',');
  const lines = series.timeMs.map((_, i) => names.map((name) => series[name][i] ?? '').join(','));
  return [header, ...lines, ''].join('\r\n');
}

export function download(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = name;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
