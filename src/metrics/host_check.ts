/** Which names a client may call a server by: a page whose own name points here is refused. */
import { isIP } from 'node:net';

const localNames: readonly string[] = ['localhost', '127.0.0.1', '::1'];
const everywhere: readonly string[] = ['0.0.0.0', '::'];

/**
 * Checks Host against DNS rebinding: a browser takes a page of evil.example to this host's own
 * address once that name points to it, and sends the name.
 */
export class HostCheck {
  readonly #named: string;

  /** @param named the host that is listened on, as the user wrote it. */
  constructor(named: string) {
    this.#named = named.toLowerCase();
  }

  get refusal(): string {
    return (
      `this server answers to ${[...new Set([...localNames, this.#named])].join(', ')}; ` +
      'give --prometheus the name that clients use\n'
    );
  }

  /** @param reachedAt the address of this host that the connection came to. */
  allows(host: string | undefined, reachedAt: string | undefined): boolean {
    const name = nameOf(host ?? '');
    if (name === null) return false;
    const reached = (reachedAt ?? '').replace(/^::ffff:/, '');
    if (localNames.includes(name) || name === this.#named || name === reached) return true;
    // Listening on all addresses lets others in by whatever name they have for this host; over
    // loopback there are only this host's own programs, browsers among them.
    return everywhere.includes(this.#named) && !isLoopback(reached);
  }
}

/** The host of `HOST`, `HOST:PORT` or `[::1]:PORT` in lower case; null where it is malformed. */
function nameOf(header: string): string | null {
  const [, six, name] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::\d{1,5})?$/i.exec(header) ?? [];
  return (six ?? name)?.toLowerCase().replace(/\.$/, '') ?? null;
}

function isLoopback(address: string): boolean {
  return isIP(address) === 0 || address.startsWith('127.') || address === '::1';
}
