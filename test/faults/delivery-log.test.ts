import { describe, expect, it } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { backend } from '../support/backend-messages.js';
import { StubPostgres } from '../support/stub-postgres.js';
import { eventually } from '../support/recorder.js';

const suite = appSuite({ options: QUICK });

/** Starts an application on a server that delivers nothing at first; resolves when the delivery check has failed. */
async function startUndelivered(behaviour: { readonly delivers: boolean }): Promise<void> {
  server = suite.use(await StubPostgres.start(behaviour));
  // Long enough for a commit on a busy machine: a check whose notification is not committed in time is unknown, not failing.
  const deliveryCheck = { interval: 30, timeout: 500, onStartFailure: 'warn' } as const;
  subject = watched(await suite.create({ connection: server.url, deliveryCheck }));
  await subject.app.init();
  await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'failing');
}

let server: StubPostgres;
let subject: WatchedApp;

/** The log lines about the delivery, in order. */
function deliveryLines(): string[] {
  return subject.logger.texts().filter((text) => /arrive/.test(text));
}

describe('the log', () => {
  it('names a second connection that is refused now and then only once, until the next reconnect', async () => {
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
    const changeTwice = async (): Promise<void> => {
      isRefused = true;
      await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'unknown');
      isRefused = false;
      await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    };
    await changeTwice();
    await changeTwice();
    await changeTwice();
    const refused = expect.stringMatching(
      /^Whether notifications arrive is unknown: .*too many connections for role "app" \(SQLSTATE 53300\)\. .*CONNECTION LIMIT of the role or of the database/,
    );
    expect(deliveryLines()).toEqual([refused]);

    const lost = untilLost(subject);
    for (const { socket } of server.connections) socket.destroy();
    await lost;
    await subject.service.ready();
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    await changeTwice();
    await changeTwice();
    expect(deliveryLines()).toEqual([refused, refused]);
  });

  it('says that notifications arrive again after they did not', async () => {
    const behaviour = { delivers: false };
    await startUndelivered(behaviour);
    behaviour.delivers = true;
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    expect(deliveryLines()).toEqual([
      expect.stringMatching(/^Notifications do not arrive: /),
      expect.stringMatching(/^Notifications arrive again\./),
    ]);
  });
});

describe('what comes in while the delivery check is failing', () => {
  it('is discarded, and counted', async () => {
    await startUndelivered({ delivers: false });
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
