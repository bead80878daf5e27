/** Checks the name by which a client calls the server, against pages whose own name points here. */
import { isIP } from 'node:net';

const localNames: readonly string[] = ['localhost', '127.0.0.1', '::1'];
const everywhere: readonly string[] = ['0.0.0.0', '::'];

/**
 * Checks Host against DNS rebinding: once evil.example resolves to this host, a browser lets a page
 * of that name read this server, and sends that name in Host.
 */
export class HostCheck {
  readonly #named: string;

  /** @param named the host that the server listens on, as the user wrote it. */
  constructor(named: string) {
    this.#named = named.toLowerCase();
  }

  /** The answer to a refused request, with its newline. */
  get refusal(): string {
    return (
      `this server answers to ${[...new Set([...localNames, this.#named])].join(', ')}; ` +
      'give --prometheus the name that clients use\n'
    );
  }

  /**
   * Returns whether a request with this Host is served.
   * @param reachedAt the address of this host that the connection came to.
   */
  allows(host: string | undefined, reachedAt: string | undefined): boolean {
    const name = nameOf(host ?? '');
    if (name === null) return false;
    const reached = (reachedAt ?? '').replace(/^::ffff:/, '');
    if (localNames.includes(name) || name === this.#named || name === reached) return true;
    // A server on all addresses serves other machines under any name that they have for this host.
    // Over loopback come only this host's own programs, browsers among them.
    return everywhere.includes(this.#named) && !isLoopback(reached);
  }
}

/**
 * Returns the host of `HOST`, `HOST:PORT` or `[::1]:PORT` in lower case; null when it is malformed.
 */
function nameOf(header: string): string | null {
  const [, six, name] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::\d{1,5})?$/i.exec(header) ?? [];
  return (six ?? name)?.toLowerCase().replace(/\.$/, '') ?? null;
}

function isLoopback(address: string): boolean {
  return isIP(address) === 0 || address.startsWith('127.') || address === '::1';
}
