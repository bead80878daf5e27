/** Parts of command lines that are masked, and parts that are not. */
import { expect, test } from 'vitest';
import { maskedArguments } from '../src/secrets.ts';

/** Made up, and joined from pieces, so that no scanner takes them for real secrets. */
const made = {
  aws: `AKIA${'ABCDEFGH12345678'}`,
  github: `ghp_${'a1B2'.repeat(9)}`,
  pat: `github_pat_${'a1B2_'.repeat(8)}`,
  gitlab: `glpat-${'a1B2'.repeat(5)}`,
  slack: `xoxb-${'1234567890-abc'}`,
  stripe: `sk_live_${'a1B2'.repeat(6)}`,
  npm: `npm_${'a1B2'.repeat(9)}`,
  jwt: `eyJ${'hbGciOiJI'}.eyJ${'zdWIiOiIx'}.abc-_123`,
};

test.each([
  ['--password=hunter2', '--password=***'],
  ['--password hunter2', '--password ***'],
  ['--token abc', '--token ***'],
  ['--github-token=abc', '--github-token=***'],
  ['--apiKey abc', '--apiKey ***'],
  ['--api-key abc', '--api-key ***'],
  ['--api_key=a=b;c', '--api_key=***'],
  ['-password hunter2', '-password ***'],
  ['--dbPassword=x', '--dbPassword=***'],
  ['--auth user:pass', '--auth ***'],
  ['--credentials=x', '--credentials=***'],
  ['--client-secret=x --port=80', '--client-secret=*** --port=80'],
  ['-phunter2', '-p***'],
  ['-pS3cret!', '-p***'],
  ['TOKEN=abc', 'TOKEN=***'],
  ['PGPASSWORD=abc', 'PGPASSWORD=***'],
  ['MYSQL_PWD=abc', 'MYSQL_PWD=***'],
  ['AWS_SECRET_ACCESS_KEY=abc', 'AWS_SECRET_ACCESS_KEY=***'],
  ['npm_config__authToken=abc', 'npm_config__authToken=***'],
  ['postgres://ann:p@ss@db:5432/x', 'postgres://ann:***@db:5432/x'],
  ['https://x.example/?a=1&access_token=abc&b=2', 'https://x.example/?a=1&access_token=***&b=2'],
  ['Bearer abcdefgh', 'Bearer ***'],
  [made.aws, '***'],
  [made.github, '***'],
  [made.pat, '***'],
  [made.gitlab, '***'],
  [made.slack, '***'],
  [made.stripe, '***'],
  [made.npm, '***'],
  [made.jwt, '***'],
  [`https://${made.github}@github.com/x`, 'https://***@github.com/x'],
])('masks %s', (given, expected) => {
  expect(maskedArguments(given.split(' ')).join(' ')).toBe(expected);
});

test.each([
  ['Authorization: Bearer abc', 'Authorization: ***'],
  ['Authorization: Basic YW5uOnBhc3M=', 'Authorization: ***'],
  ['Basic YW5uOnBhc3M=', 'Basic ***'],
  ['X-Api-Key: abc def', 'X-Api-Key: ***'],
  ['{"user":"ann","password":"a\\"b"}', '{"user":"ann","password":"***"}'],
  ['Server=db;User Id=ann;Password=abc;Port=1', 'Server=db;User Id=ann;Password=***;Port=1'],
  ['env PGPASSWORD=abc psql -c "select 1"', 'env PGPASSWORD=*** psql -c "select 1"'],
  ['PGPASSWORD=a b', 'PGPASSWORD=***'],
  ['exec tool --token abc --port 80', 'exec tool --token *** --port 80'],
  ['curl -H "Authorization: Bearer abcdefgh"', 'curl -H "Authorization: Bearer ***"'],
  ['-----BEGIN PRIVATE KEY-----\nabc', '***'],
])('masks in one argument %j', (given, expected) => {
  expect(maskedArguments([given])).toEqual([expected]);
});

test.each([
  ['--tokenize corpus.txt'],
  ['--tokenizer=bpe'],
  ['--max-tokens=5'],
  ['--max-tokens 5'],
  ['--password-file /run/secrets/db'],
  ['--token-file=/run/token'],
  ['--auth-type basic'],
  ['--no-auth server.js'],
  ['--author ann'],
  ['--authority=x'],
  ['--key k --keyboard us'],
  ['--compass north'],
  ['--password --verbose'],
  ['--secretary ann'],
  ['-p 8080'],
  ['-p8080:80'],
  ['-p8080/udp'],
  ['-p 1+1'],
  ['-pe 1+1'],
  ['-path=/srv'],
  ['--port=80'],
  ['NODE_ENV=production'],
  ['https://x.example:8080/path@2?page=3'],
  ['ssh://git@host/x.git'],
  ['Basic tutorial'],
  ['Bearer of bad news'],
  ['/usr/bin/node /srv/token/app.js'],
  ['/srv/secret-service/main.js'],
  ['skeleton-of-a-very-long-word-with-hyphens'],
])('leaves %s', (given) => {
  expect(maskedArguments(given.split(' '))).toEqual(given.split(' '));
});

test('masks the longest argument in less than 3 seconds, whatever is in it', () => {
  const longest = 128 << 10;
  const start = performance.now();
  for (const part of ['eyJ-', 'a://', '"a":"', '-----BEGIN '])
    maskedArguments([part.repeat(longest / part.length)]);
  expect(performance.now() - start).toBeLessThan(3_000);
});
