/** Gives free room back to the system some time after this client made it free. */

export interface RoomSizes {
  readonly residentBytes: number;
  readonly arenaBytes: number;
}

/** The limit must be passed at so many looks in a row, which is a second. */
const giveBackLooks = 4;
const giveBackLookMs = 250;

/** Looks at a store's free room while its client frees some, and not otherwise. */
export class FreeRoomWatch {
  readonly #keepBytes: number;
  readonly #look: () => RoomSizes | null;
  readonly #giveBack: (keepBytes: number) => void;
  #timer: NodeJS.Timeout | null = null;
  #freedSinceLook = false;
  #looksOverLimit = 0;

  /** `look` gives null when there is nothing more to look at. */
  constructor(
    keepBytes: number,
    calls: { look: () => RoomSizes | null; giveBack: (keepBytes: number) => void },
  ) {
    this.#keepBytes = keepBytes;
    this.#look = calls.look;
    this.#giveBack = calls.giveBack;
  }

  /** Room became free: looks at the limit from now on, until nothing happens any more. */
  onFreed(): void {
    this.#freedSinceLook = true;
    this.#timer ??= setInterval(() => this.#onLook(), giveBackLookMs).unref();
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#looksOverLimit = 0;
  }

  #onLook(): void {
    const now = this.#look();
    if (now === null) {
      this.end();
      return;
    }
    const { residentBytes, arenaBytes } = now;
    const keepBytes = Math.max(this.#keepBytes, arenaBytes);
    const isOver = residentBytes - arenaBytes > keepBytes;
    this.#looksOverLimit = isOver ? this.#looksOverLimit + 1 : 0;
    if (!isOver && !this.#freedSinceLook) this.end();
    this.#freedSinceLook = false;
    if (this.#looksOverLimit < giveBackLooks) return;
    this.end();
    this.#giveBack(keepBytes);
  }
}
