import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';
import { runHere } from '../support/command-line-here.js';
import { CANARY, expectNothingLeft } from '../support/diagnosis.js';
import { Recorder } from '../support/recorder.js';

describe('notify', () => {
  const suite = appSuite();
  const received = new Recorder<{ readonly channel: string; readonly payload: string }>();

  beforeAll(async () => {
    const client = new pg.Client(suite.database.url);
    suite.cleanup(() => client.end());
    await client.connect();
    client.on('notification', ({ channel, payload = '' }) => received.push({ channel, payload }));
    await client.query('LISTEN orders; LISTEN "Rare name"');
  });

  beforeEach(() => {
    received.items.length = 0;
  });

  afterEach(async () => {
    await CommandLine.endAll();
    await expectNothingLeft(suite.database);
  });

  const notify = (...args: readonly string[]) => runHere(['notify', ...args], { DATABASE_URL: suite.database.url });

  it.each([
    ['{"id":1}', '{"id":1}'],
    ['a text, é 猫', 'a text, é 猫'],
    ['https://shop.example/?password=none', 'https://shop.example/?password=none'],
    ['x'.repeat(7_999), 'x'.repeat(7_999)],
  ])('sends the payload as it is, and says so when it is committed: %.40s', async (payload, expected) => {
    const { code, stdout, stderr } = await notify('orders', payload);
    const size = Buffer.byteLength(expected);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `Sent to orders (${size} bytes).\n`, stderr: '' });
    expect(await received.until(1)).toEqual([{ channel: 'orders', payload: expected }]);
  });

  it('sends the empty text without a payload, to a channel of any name, and prints an object with --json', async () => {
    const { code, stdout } = await notify('Rare name', '--json');
    expect({ code, printed: JSON.parse(stdout) }).toEqual({ code: 0, printed: { channel: 'Rare name', size: 0 } });
    expect(await received.until(1)).toEqual([{ channel: 'Rare name', payload: '' }]);
  });

  it.each<[args: string[], problem: string]>([
    [[], 'Which channel?'],
    [['a'.repeat(64), 'x'], 'is 64 bytes long; PostgreSQL allows 63'],
    [['orders', 'x'.repeat(8_000)], 'The payload for channel "orders" is 8000 bytes long; PostgreSQL allows 7999.'],
    [['orders', 'one', 'two'], 'One payload at a time. Put quotes around it.'],
    [['orders', `postgres://u:${CANARY}@h/d`], 'The payload looks like the URL of a database: give it by --url'],
    [['orders', 'x', '--timeout', '0'], '--timeout must be a number of seconds above 0'],
  ])('is wrong usage, and sends nothing: %.60j', async (args, problem) => {
    const { code, stdout, stderr } = await notify(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: `);
    expect(stderr).toContain(problem);
    expect(stderr).toContain('Usage: nest-pg-notify notify <channel> [payload]');
    expect(stderr).not.toContain(CANARY);
    expect(received.items).toEqual([]);
  });

  it('fails with the reason when it was not sent', async () => {
    const role = `sender_${suite.database.name}`;
    await suite.database.query(`CREATE ROLE ${role} LOGIN PASSWORD '${CANARY}';
      REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC`);
    const url = new URL(suite.database.url);
    [url.username, url.password] = [role, CANARY];
    const { code, stdout, stderr } = await CommandLine.run(['notify', 'orders', '1', '--url', url.href]);
    await suite.database.query('GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO PUBLIC');
    await suite.database.query(`DROP ROLE ${role}`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^error: The notification for channel "orders" was not sent\. .*\(SQLSTATE 42501\)\. Grant the role/,
    );
    expect(stderr).not.toContain(CANARY);
  });
});
