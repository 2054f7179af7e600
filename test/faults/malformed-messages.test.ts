import { describe, expect, it } from '@jest/globals';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { CommandLine } from '../support/command-line.js';
import { StubPostgres } from '../support/stub-postgres.js';
import type { StubConnection } from '../support/stub-connection.js';

/** The message by which a server asks for a method of authentication. */
function authentication(code: number, data = ''): Buffer {
  const message = Buffer.alloc(9 + data.length);
  message.write('R');
  message.writeInt32BE(8 + data.length, 1);
  message.writeInt32BE(code, 5);
  message.write(data, 9, 'latin1');
  return message;
}

/** A key of the backend that is too short: pg's parser throws. */
const SHORT_KEY = Buffer.from('K\0\0\0\x06\0\x01', 'latin1');

const METHODS = [
  ['GSSAPI', authentication(7)],
  ['SSPI', authentication(9)],
  ['Kerberos V5', authentication(2)],
  ['OAUTHBEARER', authentication(10, 'OAUTHBEARER\0\0')],
  ['number 99', authentication(99)],
] as const;

const suite = appSuite({ options: QUICK });
let server: StubPostgres;
let subject: WatchedApp;
/** What the server does instead of letting a client in. */
let greeting: ((connection: StubConnection) => void) | undefined;
/** The connection, by its application name, that gets a malformed answer to what it asks. */
let broken: string | undefined;

async function setUp(options: Partial<PgNotifyModuleOptions> = {}): Promise<void> {
  greeting = undefined;
  broken = undefined;
  server = suite.use(
    await StubPostgres.start({
      onStartup: (connection) => (greeting ?? (() => connection.greet()))(connection),
      onQuery: ({ text }, connection) => {
        const isBroken = connection.parameters.get('application_name') === broken && text.includes('pg_notify(');
        if (isBroken) connection.write(SHORT_KEY);
        return isBroken;
      },
    }),
  );
  subject = watched(await suite.create({ connection: server.url, ...options }));
}

describe('a message of the server that pg cannot read', () => {
  it.each(METHODS)('ends a start at once, with what to do, when it asks for %s', async (name, message) => {
    await setUp();
    greeting = (connection) => connection.write(message);
    await expect(subject.app.init()).rejects.toMatchObject({
      kind: 'connection',
      permanent: true,
      message: expect.stringMatching(
        new RegExp(
          `asks for authentication by .*${name}, and pg cannot do .* pg_hba\\.conf, for example scram-sha-256`,
        ),
      ),
    });
    expect(server.connectionCount).toBe(1);
  });

  it('keeps nothing from starting in the background, and from listening when the method is another', async () => {
    await setUp({ startup: { mode: 'background' } });
    greeting = (connection) => connection.write(authentication(7));
    await subject.app.init();
    const { state, lastFailure } = await untilStatus(subject, ({ attempts }) => attempts >= 3);
    expect(state).toBe('connecting');
    expect(lastFailure?.message).toContain('pg cannot do GSSAPI');
    expect(subject.logger.texts('warn').filter((text) => text.includes('GSSAPI'))).toHaveLength(1);
    greeting = undefined;
    await subject.service.ready();
    await expectDelivery(subject, 'after');
  });

  it('is survived when a reload asks for GSSAPI while it reconnects', async () => {
    await setUp();
    await subject.app.init();
    const lost = untilLost(subject);
    greeting = (connection) => connection.write(authentication(7));
    for (const { socket } of server.connections) socket.destroy();
    await lost;
    await untilStatus(subject, ({ attempts }) => attempts >= 4);
    greeting = undefined;
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'reconnect', 'after']);
  });

  it('loses the session that listens, with what it says, and the next one heals it', async () => {
    await setUp();
    await subject.app.init();
    const lost = untilLost(subject);
    const [listening] = server.connections;
    listening!.write(SHORT_KEY);
    expect((await lost).lastFailure?.message).toMatch(/what came in is not PostgreSQL's protocol/);
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'reconnect', 'after']);
  });

  it('fails the notification that it answers, as one that may have been sent, and the next is sent anew', async () => {
    await setUp({ deliveryCheck: false });
    await subject.app.init();
    broken = 'nest-pg-notify publisher';
    await expect(subject.service.notify('watched', 'lost')).rejects.toMatchObject({
      kind: 'publish',
      outcome: 'unknown',
      message: expect.stringContaining("is not PostgreSQL's protocol"),
    });
    broken = undefined;
    await subject.service.notify('watched', 'after');
    await subject.seen.until((items) => items.includes('after'));
  });

  it('leaves unknown whether notifications arrive, when it answers a delivery check', async () => {
    await setUp({ deliveryCheck: { interval: 50 } });
    broken = 'nest-pg-notify delivery check';
    await subject.app.init();
    expect(subject.service.status).toMatchObject({
      state: 'listening',
      delivery: { verdict: 'unknown', message: expect.stringContaining("is not PostgreSQL's protocol") },
    });
    broken = undefined;
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
  });

  it('ends the commands with the exit code 1 and what to do, not with a stack', async () => {
    await setUp({ startup: { mode: 'background' } });
    greeting = (connection) => connection.write(authentication(7));
    const env = { DATABASE_URL: server.url };
    for (const args of [
      ['doctor'],
      ['listen', 'orders'],
      ['trigger', 'a', '--channel', 'b', '--key', 'id', '--check'],
    ]) {
      const { code, stdout, stderr } = await CommandLine.run(args, env);
      expect([args[0], code, stdout + stderr]).toEqual([args[0], 1, expect.stringContaining('pg cannot do GSSAPI')]);
      expect(stdout + stderr).not.toMatch(/^ {4}at /m);
    }
  });
});
