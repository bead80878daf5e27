/** Data into the page that was built for it. */
import type { IndexData, PageData } from './page_model.ts';
import type { WatchData } from './watch_page_model.ts';

/** Where the page's own script looks for what it shows. */
const place = '<script id="data" type="application/json"></script>';

/** `template`: one of dist/page/*.html. One file, which needs no network. */
export function pageHtml(template: string, data: PageData | IndexData | WatchData): string {
  // A "<" in a name may not end the script it is in.
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  const at = template.indexOf(place);
  if (at < 0) throw new Error('no place for data in the page');
  // By offsets: a "$" in a name would be an instruction to String.replace.
  const begin = at + place.indexOf('</script>');
  return `${template.slice(0, begin)}${json}${template.slice(begin)}`;
}
