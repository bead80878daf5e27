/** One line on a terminal that is written over and over. */

/** Columns that remain free: a line as wide as the terminal would wrap in some of them. */
const spareColumns = 1;

export class ProgressLine {
  readonly #stream: NodeJS.WriteStream;
  #shown = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(text: string): void {
    this.#shown = true;
    // Some terminals say 0.
    const columns = (this.#stream.columns || 80) - spareColumns;
    this.#stream.write(`\r\x1b[K${text.slice(0, columns)}`);
  }

  /** Takes the line away, so that what follows begins at the left of an empty one. */
  clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K');
    this.#shown = false;
  }
}
