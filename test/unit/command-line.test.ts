import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { runCommandLine } from '../../lib/cli/command-line.js';
import { Terminal } from '../../lib/cli/terminal.js';

/** Nothing listens there. */
const NOWHERE = 'postgres://app:canary-secret@127.0.0.1:1/shop';

/** Runs it in this process. */
async function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough({ encoding: 'utf8' }), new PassThrough({ encoding: 'utf8' })];
  const code = await runCommandLine(args, { terminal: new Terminal(stdout, stderr, {}), env: {} });
  const textOf = (stream: PassThrough): string => (stream.read() as string | null) ?? '';
  return { code, stdout: textOf(stdout), stderr: textOf(stderr) };
}

describe('the command line', () => {
  it.each([
    [[], 'Which command?', ''],
    [['docter'], 'There is no command "docter". Did you mean doctor?', ''],
    [['help', 'listne'], 'There is no command "listne". Did you mean listen?', ''],
    [['frobnicate'], 'There is no command "frobnicate".', ''],
    [['doctor', '--jsno'], `Unknown option '--jsno'`, 'doctor '],
    [['doctor', 'orders'], 'Unexpected argument: orders', 'doctor '],
    [['doctor', '--timeout', 'soon'], '--timeout must be a number of seconds above 0, not "soon".', 'doctor '],
    [['doctor'], 'There is neither --url nor DATABASE_URL nor PGHOST', 'doctor '],
    [['doctor', '--url', ''], '--url is empty', 'doctor '],
    [['doctor', '--env-file', '/nowhere/.env'], 'The file of --env-file cannot be read: ENOENT', 'doctor '],
    [['doctor', '--url', 'shop'], '--url must be the folder of a Unix socket or begin with postgres://', 'doctor '],
    [['doctor', '--url', 'mysql://h/d'], '--url must be the folder of a Unix socket or begin with', 'doctor '],
    [['listen', 'a', '--url', 'postgres://a,b/d'], '--url names several hosts', 'listen '],
    [['listen', 'a', '--url', 'postgres://u:p#w@h/d'], '--url is not a URL that can be read. In a user', 'listen '],
    [['listen', '--url', NOWHERE], 'Which channel?', 'listen '],
    [['listen', 'a'.repeat(64), '--url', NOWHERE], 'is 64 bytes long; PostgreSQL allows 63', 'listen '],
    [['trigger', '--channel', 'a', '--key', 'id'], 'Which table?', 'trigger '],
    [['trigger', 'orders', '--key', 'id'], 'Which channel? Give --channel.', 'trigger '],
    [['trigger', 'orders', '--channel', 'a'], 'Give --key', 'trigger '],
    [['trigger', 'orders', '--channel', 'a', '--key', 'id', '--on', 'upsert'], 'must be a list of some of', 'trigger '],
    [
      ['trigger', 'orders', '--channel', 'a', '--key', 'id', '--level', 'x'],
      `must be one of 'statement', 'row', not 'x'`,
      'trigger ',
    ],
    [['events'], 'Which action? One of sql, status, dead,', 'events '],
    [['events', 'statsu'], 'There is no action "statsu". Did you mean status?', 'events '],
    [['events', 'sql', 'x'], 'Unexpected argument: x', 'events '],
    [['events', 'sql', '--schema', 'pg_x'], 'PostgreSQL keeps names that begin with pg_', 'events '],
    [['events', 'status', '--schema', '', '--url', NOWHERE], 'must be a non-empty string', 'events '],
    [['events', 'sql', '--down', '--publication'], 'Give --down or --publication, not both.', 'events '],
    [['events', 'status', '--down'], '--down is for sql, not for status.', 'events '],
    [['events', 'prune', '--all'], '--all is for requeue and discard, not for prune.', 'events '],
    [['events', 'status', 'x'], 'Unexpected argument: x', 'events '],
    [['events', 'status', '--max-lag', 'x'], '--max-lag must be a number of seconds', 'events '],
    [['events', 'dead'], 'Which consumer?', 'events '],
    [['events', 'dead', 'c', '--limit', '0'], '--limit must be an integer', 'events '],
    [['events', 'requeue', 'c'], 'Which dead letters? Give their ids, or --all.', 'events '],
    [['events', 'discard', 'c', 'x'], '"x" is not the id of an event', 'events '],
    [['events', 'replay', 'c'], 'Since when? Give --since', 'events '],
    [['events', 'replay', 'c', '--since', '2026-11-28T10:00'], 'a time with its zone', 'events '],
    [['events', 'replay', 'c', '--since', '2026-13-28T10:00Z'], 'a time with its zone', 'events '],
    [['events', 'prune', '--older-than', '0'], '--older-than must be a number of days above 0', 'events '],
    [['events', 'rebase'], 'There is neither --url nor DATABASE_URL nor PGHOST', 'events '],
    [['listen', 'orders', '--count', '0', '--url', NOWHERE], '--count must be an integer of at least 1', 'listen '],
  ])('refuses %j in one line that says why and where to read on', async (args, problem, command) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const [error, usage, more, ...rest] = stderr.split('\n');
    expect(error).toContain(`error: `);
    expect(error).toContain(problem);
    expect(usage).toContain(`Usage: nest-pg-notify ${command || '<command>'}`);
    expect([more, ...rest]).toEqual([`More: nest-pg-notify ${command}--help`, '']);
  });

  const SECRETS = [
    NOWHERE,
    'postgres://127.0.0.1:1/shop?user=app&password=canary-secret',
    'postgres://app:canary secret@127.0.0.1:1/shop',
    'host=127.0.0.1 password=canary-secret',
  ];
  it.each(
    SECRETS.flatMap((url) => [
      [[url]],
      [['doctor', url]],
      [['doctor', '--timeout', url]],
      [['listen', url]],
      [['notify', url]],
      [['notify', 'orders', url]],
      [['help', url]],
      [['listen', 'orders', url, '--url', NOWHERE]],
      [['listen', 'orders', '--count', url]],
      [['trigger', url, '--channel', 'a', '--key', 'id']],
      [['trigger', 'orders', url, '--channel', 'a', '--key', 'id']],
      [['trigger', 'orders', '--channel', url, '--key', 'id']],
      [['trigger', 'orders', '--channel', 'a', '--key', url]],
      [['trigger', 'orders', '--channel', 'a', '--key', 'id', '--on', url]],
      [['events', url]],
      [['events', 'dead', url]],
      [['events', 'sql', '--schema', url]],
    ]),
  )('%j has a URL where none is expected: it is not repeated, and nothing is done with it', async (args) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toContain('canary');
    expect(stderr).toMatch(/^error: .+ looks like the URL of a database: give it by --url, as postgres:\/\/\S+\.\n/);
  });

  it.each(SECRETS)('does not repeat --%s either, which it takes for an option', async (url) => {
    const { code, stdout, stderr } = await run(['doctor', `--${url}`]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toContain('canary');
  });

  it.each([[['doctor']], [['doctor', '--url', '']], [['doctor', '--url', 'shop']]])(
    'shows a complete example of a URL when %j lacks one',
    async (args) => {
      expect((await run(args)).stderr).toContain('as postgres://user:password@host:5432/database.');
    },
  );
});
