import { describe, expect, it } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { backend } from '../support/backend-messages.js';
import { StubPostgres } from '../support/stub-postgres.js';
import { eventually } from '../support/recorder.js';

const suite = appSuite({ options: QUICK });
let server: StubPostgres;
let subject: WatchedApp;

/** What the log has of the delivery, in order. */
function told(): string[] {
  return subject.logger.texts().filter((text) => /arrive/.test(text));
}

describe('the log', () => {
  it('tells of a second connection that is refused now and then once, until the next reconnect', async () => {
    let isRefused = false;
    server = suite.use(
      await StubPostgres.start({
        onStartup: (connection) => {
          if (!isRefused || connection.parameters.get('application_name') !== 'nest-pg-notify delivery check') {
            return connection.greet();
          }
          connection.write(backend.errorResponse('53300', 'too many connections for role "app"', 'FATAL'));
          connection.socket.end();
        },
      }),
    );
    subject = watched(await suite.create({ connection: server.url, deliveryCheck: { interval: 30, timeout: 2_000 } }));
    await subject.app.init();
    const turn = async (): Promise<void> => {
      isRefused = true;
      await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'unknown');
      isRefused = false;
      await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    };
    await turn();
    await turn();
    await turn();
    const refused = expect.stringMatching(
      /^Whether notifications arrive is unknown: .*too many connections for role "app" \(SQLSTATE 53300\)\. .*CONNECTION LIMIT of the role or of the database/,
    );
    expect(told()).toEqual([refused]);

    const lost = untilLost(subject);
    for (const { socket } of server.connections) socket.destroy();
    await lost;
    await subject.service.ready();
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    await turn();
    await turn();
    expect(told()).toEqual([refused, refused]);
  });

  it('tells that notifications arrive again when they did not', async () => {
    let delivers = false;
    server = suite.use(
      await StubPostgres.start({
        get delivers() {
          return delivers;
        },
      }),
    );
    subject = watched(
      await suite.create({
        connection: server.url,
        deliveryCheck: { interval: 30, timeout: 30, onStartFailure: 'warn' },
      }),
    );
    await subject.app.init();
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'failing');
    delivers = true;
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    expect(told()).toEqual([
      expect.stringMatching(/^Notifications do not arrive: /),
      expect.stringMatching(/^Notifications arrive again\./),
    ]);
  });
});

describe('what comes in while the delivery check is failing', () => {
  it('is discarded, and counted', async () => {
    server = suite.use(await StubPostgres.start({ delivers: false }));
    subject = watched(
      await suite.create({
        connection: server.url,
        deliveryCheck: { timeout: 30, onStartFailure: 'warn' },
      }),
    );
    await subject.app.init();
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'failing');
    for (const payload of ['1', '2', '3']) server.notify('watched', payload);
    server.notify('unheard of', '4');
    await eventually(
      () => subject.service.stats(),
      ({ discarded }) => discarded === 3,
    );
    expect(subject.service.stats()).toMatchObject({ received: 0, discarded: 3 });
    expect(subject.seen.items).toEqual(['start']);
  });
});
