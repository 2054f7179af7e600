import { afterEach, describe, expect, it } from '@jest/globals';
import { listeningBackends, untilListeners } from '../support/backends.js';
import { CommandLine } from '../support/command-line.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import type { PoolMode } from '../support/pgbouncer.js';
import { appSuite } from '../support/app/app-suite.js';
import { eventually } from '../support/recorder.js';

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;

const suite = appSuite();

afterEach(() => CommandLine.endAll());

/** Listens, and resolves when the server has acknowledged every channel. */
async function startListening(
  channels: readonly string[],
  args: readonly string[] = [],
  { url }: { url: string } = suite.database,
): Promise<CommandLine> {
  const command = new CommandLine(['listen', ...channels, ...args], { DATABASE_URL: url });
  for (const channel of channels) {
    await command.untilLine((line) => line.includes(channel) && /listening from here on|"start"/.test(line));
  }
  return command;
}

async function startProxy(): Promise<FaultProxy> {
  return suite.use(await FaultProxy.startFor(suite.database));
}

function notify(channel: string, payload: string): Promise<unknown> {
  return suite.database.query('SELECT pg_notify($1, $2)', [channel, payload]);
}

/** What it printed, with TIME for each time. */
function shown(lines: readonly string[]): string[] {
  return lines.map((line) => line.replaceAll(new RegExp(TIME, 'g'), 'TIME'));
}

function objects(lines: readonly string[]): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('listen', () => {
  it('prints notifications as they come, and ends after as many as it was asked for', async () => {
    const command = await startListening(['orders', 'Rare name'], ['--count', '3']);
    await notify('orders', '{"id":1}');
    await command.untilLine((line) => line.includes('{"id":1}')); // While it runs on.
    await notify('Rare name', '');
    await suite.database.query(`SELECT pg_notify('orders', n::text) FROM generate_series(2, 4) AS n`);
    const { code, stdout } = await command.result;
    expect(code).toBe(0);
    const lines = shown(stdout.trimEnd().split('\n'));
    expect(lines.slice(0, 2).toSorted()).toEqual([
      '-- TIME "Rare name" listening from here on',
      '-- TIME orders listening from here on',
    ]);
    expect(lines.slice(2)).toEqual(['TIME orders {"id":1}', 'TIME "Rare name" ', 'TIME orders 2']);
    expect(stdout).not.toContain('\u001b');
    expect(command.notes.items).toEqual([expect.stringMatching(/^Listening on .+ \(backend \d+\)\.$/)]);
    await untilListeners(suite.database, 0);
  });

  it('prints colours if FORCE_COLOR asks for them', async () => {
    const command = new CommandLine(['listen', 'orders'], { DATABASE_URL: suite.database.url, FORCE_COLOR: '1' });
    expect(await command.untilLine((line) => line.includes('orders'))).toContain('\u001b[2m-- ');
  });

  it('shows control characters, so that a payload can do nothing to the terminal', async () => {
    const evil = '\u001b]0;owned\u0007\r\n-- fake\u009b2J\t\u202egpj.exe é 猫';
    const command = await startListening(['orders'], ['--count', '1']);
    await notify('orders', evil);
    const { stdout } = await command.result;
    expect(stdout.split('\n')).toHaveLength(3);
    expect(stdout).toContain(String.raw` orders \e]0;owned\x07\r\n-- fake\x9b2J\t\u202egpj.exe é 猫`);
    const json = await startListening(['orders'], ['--count', '1', '--json']);
    await notify('orders', evil);
    const { stdout: lines } = await json.result;
    for (const raw of ['\u001b', '\u0007', '\u009b', '\u202e']) expect(lines).not.toContain(raw);
    expect(objects(lines.trimEnd().split('\n')).at(-1)).toMatchObject({ type: 'notification', payload: evil });
  });

  it('prints an object in each line with --json', async () => {
    const command = await startListening(['orders'], ['--count', '1', '--json']);
    await notify('orders', '{"id":1}');
    const { stderr } = await command.result;
    expect(stderr).toBe('');
    const printed = objects(command.lines.items);
    expect(printed.filter(({ type }) => type !== 'status')).toEqual([
      { type: 'gap', channel: 'orders', reason: 'start', until: expect.stringMatching(TIME) },
      {
        type: 'notification',
        channel: 'orders',
        payload: '{"id":1}',
        processId: expect.any(Number),
        receivedAt: expect.stringMatching(TIME),
      },
    ]);
    const states = printed.filter(({ type }) => type === 'status');
    expect(states[0]).toMatchObject({ state: 'connecting', since: expect.stringMatching(TIME) });
    expect(states.at(-1)).toMatchObject({ state: 'listening', delivery: expect.stringMatching(/verified|unknown/) });
  });

  it('announces a gap after its backend was terminated, and goes on', async () => {
    const command = await startListening(['orders'], ['--count', '1']);
    const [pid] = await listeningBackends(suite.database);
    await suite.database.query('SELECT pg_terminate_backend($1)', [pid]);
    await command.untilLine((line) => line.includes('gap (reconnect): what was sent since'));
    await notify('orders', 'after');
    expect(await command.result).toMatchObject({ code: 0 });
    expect(shown(command.lines.items)).toEqual([
      '-- TIME orders listening from here on',
      '-- TIME orders gap (reconnect): what was sent since TIME may be missing',
      'TIME orders after',
    ]);
    expect(command.notes.items.join('\n')).toMatch(/Not listening any more: .+57P01[^]+Listening again on/);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends at %s, with 0 and without a backend', async (name) => {
    const command = await startListening(['orders']);
    command.signal(name);
    expect(await command.result).toMatchObject({ code: 0, signal: null });
    await untilListeners(suite.database, 0);
  });

  it('ends at a signal while it cannot connect, too', async () => {
    const command = new CommandLine(['listen', 'orders', '--url', 'postgres://a:canary-secret@127.0.0.1:1/x']);
    await command.notes.until(1);
    command.signal('SIGTERM');
    const { code, stderr, stdout } = await command.result;
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/^Not listening yet: .+ECONNREFUSED.+ Is PostgreSQL running there\? Trying again\.\n$/);
    expect(stderr).not.toContain('canary');
  });

  it('ends quietly when nobody reads its output any more', async () => {
    const command = await startListening(['orders']);
    command.stopReading();
    await notify('orders', 'to nobody');
    expect(await command.result).toMatchObject({ code: 0, signal: null, stderr: expect.not.stringContaining('EPIPE') });
    await untilListeners(suite.database, 0);
  });

  it('reads on while its output is not read, and reports how much it dropped', async () => {
    const proxy = await startProxy();
    const command = await startListening(['orders'], ['--json'], { url: proxy.url(suite.database.url) });
    command.stdout.pause();
    const payload = 'x'.repeat(7_000);
    await suite.database.query(`SELECT pg_notify('orders', $1 || n) FROM generate_series(1, 3000) AS n`, [payload]);
    // Far more than what is kept for a reader, and all that may be on its way.
    await eventually(
      () => proxy.received('down'),
      (bytes) => bytes > 3_000 * payload.length,
    );
    command.stdout.resume();
    await command.untilLine((text) => text.includes('"overflow"'));
    await notify('orders', 'after');
    await command.untilLine((text) => text.includes('"after"'));
    const printed = objects(command.lines.items);
    const dropped = printed.map((object) => Number(object['dropped'] ?? 0)).reduce((sum, count) => sum + count, 0);
    expect(printed.filter(({ type }) => type === 'notification').length + dropped).toBe(3_001);
  });

  it.each([
    ['a wrong password', (url: URL) => (url.password = 'canary-wrong'), /28P01.+ Check the user and the password/],
    ['a database that is not there', (url: URL) => (url.pathname = '/nowhere'), /3D000.+ Create the database/],
  ])('gives up at once at %s', async (_what, change, expected) => {
    const url = new URL(suite.database.url);
    change(url);
    const { code, stdout, stderr } = await CommandLine.run(['listen', 'orders', '--url', url.href]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: .+\n$/);
    expect(stderr).toMatch(expected);
    expect(stderr).not.toContain('canary');
  });

  it('ends without a claim to be connected when the server never answers', async () => {
    const proxy = await startProxy();
    proxy.blackhole();
    const url = proxy.url(suite.database.url);
    const { code, stdout, stderr } = await CommandLine.run(['listen', 'orders', '--url', url, '--timeout', '0.5']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: Could not listen within 0\.5 s \(--timeout\)\. The server has not answered: .+\n$/);
  });

  it('waits for a server that is not there yet, as long as --timeout says', async () => {
    const proxy = await startProxy();
    proxy.refuse();
    const url = proxy.url(suite.database.url);
    const patient = new CommandLine(['listen', 'orders', '--url', url]);
    const { code, stderr } = await CommandLine.run(['listen', 'orders', '--url', url, '--timeout', '0.3']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: Could not listen within 0\.3 s \(--timeout\)\. .+ECONNREFUSED/);
    await patient.notes.until(1);
    await proxy.accept();
    await patient.untilLine((line) => line.includes('listening from here on'));
  });

  describeWithPgBouncer('behind PgBouncer', () => {
    const startBouncer = async (mode: PoolMode): Promise<PgBouncer> =>
      suite.use(await PgBouncer.start(suite.database.url, mode));

    it.each([
      ['30', []],
      ['2', ['--json']],
    ])('refuses to listen if nothing would arrive, and never claims to listen (%s s)', async (timeout, args) => {
      const bouncer = await startBouncer('transaction');
      const { code, stdout, stderr } = await CommandLine.run(
        ['listen', 'orders', '--timeout', timeout, ...args].concat('--url', bouncer.url),
      );
      expect(code).toBe(1);
      expect(stderr).toMatch(/error: Notifications do not arrive: .+ is a pooler in transaction or statement mode/);
      expect(stdout).not.toMatch(/listening/);
      expect(stdout).not.toMatch(/start/);
    });

    it('prints in session mode what came before it was proved that it listens, too', async () => {
      const bouncer = await startBouncer('session');
      const command = await startListening(['orders'], ['--count', '1'], bouncer);
      await notify('orders', 'through the pooler');
      const { code, stdout } = await command.result;
      expect(code).toBe(0);
      expect(shown(stdout.trimEnd().split('\n'))).toEqual([
        '-- TIME orders listening from here on',
        'TIME orders through the pooler',
      ]);
    });
  });
});

describe('listen on a server of its own', () => {
  const own = appSuite({ server: {} });

  it('survives a restart of the server', async () => {
    const command = await startListening(['orders'], ['--json'], own.database);
    await own.server.restart();
    await command.untilLine((line) => line.includes('"reconnect"'));
    await own.createDatabase(); // The server is there again, for others as well.
    command.signal('SIGINT');
    expect(await command.result).toMatchObject({ code: 0, stderr: '' });
    const states = objects(command.lines.items).map(({ state }) => state);
    expect(states).toContain('reconnecting');
  });
});
