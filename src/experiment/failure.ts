/** Everything that went wrong, and a way to wait for something unless it does. */
export class Failure {
  readonly all: unknown[] = [];
  #listeners = new Set<() => void>();

  fail(error: unknown): void {
    this.all.push(error);
    this.recheck();
  }

  /** Lets those who wait look again. */
  recheck(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Resolves once `condition` holds, rejects with the first failure. */
  async until(condition: () => boolean): Promise<void> {
    while (this.all.length === 0 && !condition()) {
      await new Promise<void>((resolve) => {
        const listener = () => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
    if (this.all.length > 0) throw this.all[0];
  }

  /** `work`, or the first failure if that comes first. */
  async orElse<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const finished = () => {
      done = true;
      this.recheck();
    };
    work.then(finished, finished);
    await this.until(() => done);
    return work;
  }
}
