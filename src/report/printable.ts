/** Text from outside for a terminal, which obeys control characters. */

/** One line with everything replaced that a terminal would obey instead of show. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, '?');
}
