/**
 * Masks what looks like a secret in a command line; the one list, for all output of command lines.
 */

const mask = '***';

/** Linux passes no longer argument to a program; a damaged capture's may be longer. */
const mostCharacters = 128 << 10;

/** Last words of names (of options, variables, headers, keys) whose value is a secret. */
const secretWords =
  'token|secret|pass|password|passwd|passphrase|pwd|auth|authorization|credentials?|apikey|cookie';
/** Keys that are secret; "key" alone is not. */
const secretKeys = '(?:api|access|private|secret|signing|encryption|auth|account|master)[-_.]?key';
/** Words that also end a name without a separator, as in PGPASSWORD. */
const secretEnds = '(?:token|secret|password|passwd|apikey)';
const secretName = new RegExp(
  `^(?:.*[-_.])?(?:${secretWords}|${secretKeys})$|^[a-z0-9]*${secretEnds}$`,
  'i',
);

/** Keys known by their form: AWS, GitHub, GitLab, Slack, Google, npm, Stripe; JWT, PEM. */
const secretShapes: readonly RegExp[] = [
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\bgh[pousr]_[A-Za-z0-9]{20,}/g,
  /\bgithub_pat_[A-Za-z0-9_]{20,}/g,
  /\bglpat-[\w-]{20,}/g,
  /\bxox[abeprs]-[\w-]{10,}/g,
  /\bAIza[\w-]{35}/g,
  /\bnpm_[A-Za-z0-9]{36}/g,
  /\b[rs]k[-_](?:live[-_]|test[-_]|proj-|ant-)?[A-Za-z0-9_-]{20,}/g,
  // At the start of a word only: \b would make `eyJ-eyJ-…` take quadratic time.
  /(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gs,
];

/** Options that begin with `-p` without a password: ports, groups of flags, and usual words. */
const noPassword: readonly RegExp[] = [
  /^-p[\d:.,/-]+(?:tcp|udp)?$/,
  /^-p[a-z]{0,3}$/,
  /^-(?:path|port|parallel|profile|print|plugins?|project|prod|production|preset|prefix)\b/,
  /^-(?:public|proxy|preserve|process|progress|parents)\b/,
];

/**
 * Returns the arguments with `***` for what looks like a secret. It errs on both sides: a harmless
 * value under a secret's name is masked, and a secret without a name is missed.
 */
export function maskedArguments(argv: readonly string[]): string[] {
  return argv.map((argument, i) => {
    const shown = argument.slice(0, mostCharacters);
    return maskedArgument(shown, argv[i - 1] ?? '');
  });
}

function maskedArgument(argument: string, before: string): string {
  if (isNameOfNext(before) && !argument.startsWith('-')) return mask;
  if (/^bearer$/i.test(before) && argument.length >= 8) return mask;
  const [, head, name = ''] = /^(-{0,2}([A-Za-z_][\w.-]*)=)./.exec(argument) ?? [];
  if (isSecretName(name)) return head + mask;
  const isPassword = argument.startsWith('-p') && !isNameOfNext(argument);
  if (isPassword && !noPassword.some((one) => one.test(argument))) return `-p${mask}`;
  return maskedText(argument);
}

function isNameOfNext(argument: string): boolean {
  const [, name] = /^--?([A-Za-z][\w.-]*)$/.exec(argument) ?? [];
  return name !== undefined && !name.startsWith('no-') && isSecretName(name);
}

function isSecretName(name: string): boolean {
  // So that dbPassword ends with the word Password.
  return secretName.test(name.replace(/([a-z0-9])([A-Z])/g, '$1-$2'));
}

interface Form {
  /** Its groups: `head` stays, and `value` is masked when isSecret() says so. */
  readonly pattern: RegExp;
  readonly isSecret: (groups: Groups) => boolean;
}

interface Groups {
  readonly head: string;
  readonly name: string;
  readonly value: string;
}

const jsonMember = new RegExp(
  `(?<head>(["'])(?<name>[\\w.-]{1,100})\\2\\s*:\\s*(?<quote>["']))` +
    '(?<value>(?:\\\\.|(?!\\k<quote>)[^\\\\]){0,9999})(?=\\k<quote>)',
  'g',
);

/** Forms of secrets within a text: shell scripts, URLs, headers, JSON, connection strings. */
const forms: readonly Form[] = [
  {
    pattern: /(?<head>[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@]*:)(?<value>[^\s/]+)(?=@)/gi,
    isSecret: () => true,
  },
  { pattern: /(?<head>\bbearer\s+)(?<value>[^\s"']{8,})/gi, isSecret: () => true },
  {
    // USER:PASSWORD in base64; otherwise "basic" is an ordinary word.
    pattern: /(?<head>\bbasic\s+)(?<value>[A-Za-z0-9+/=_-]{4,})/gi,
    isSecret: ({ value }) => decoded(value).includes(':'),
  },
  {
    pattern: jsonMember,
    isSecret: ({ name }) => isSecretName(name),
  },
  {
    pattern: /(?<head>(?<name>[A-Za-z_][\w.-]{0,100})=)(?<value>"[^"]*"|'[^']*'|[^\s&;,"']+)/g,
    isSecret: ({ name }) => isSecretName(name),
  },
  {
    pattern: /(?<head>(?<!\S)(?<name>--?[A-Za-z][\w.-]*)\s+)(?<value>[^\s-]\S*)/g,
    isSecret: ({ name }) => isNameOfNext(name),
  },
  {
    pattern: /^(?<head>(?<name>[A-Za-z][\w-]*):\s+)(?<value>\S.*)$/gs,
    isSecret: ({ name }) => isSecretName(name),
  },
];

function maskedText(text: string): string {
  let shown = text;
  for (const { pattern, isSecret } of forms)
    shown = shown.replace(pattern, (...parts) => {
      const groups = parts.at(-1) as Groups;
      return isSecret(groups) ? groups.head + mask : parts[0];
    });
  return secretShapes.reduce((all, shape) => all.replace(shape, mask), shown);
}

function decoded(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return '';
  }
}
