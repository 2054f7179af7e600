import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PgNotifyHealthIndicator } from 'nest-pg-notify';
import type { PgGap, PgNotifyHeartbeatOptions, PgNotifyModuleOptions } from 'nest-pg-notify';
import { filter, firstValueFrom } from 'rxjs';
import type { PgListener } from '../../lib/listener/pg-listener.js';
import { resolveOptions } from '../../lib/pg-notify.resolved-options.js';
import { resolveConnections } from '../../lib/session/connection-settings.js';
import { PgSession } from '../../lib/session/pg-session.js';
import { systemClock } from '../../lib/time/clock.js';
import { createListener } from '../../lib/transport/create-listener.js';
import { consumerContext } from '../support/consumer-context.js';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';

/** How long a question may stay open here, even if other messages come in meanwhile; 60 s for an application. */
const ANSWER_LIMIT = 1_000;

/** Silence is no reason to give it up, not even if a busy machine holds up the traffic. */
const PATIENT = { ...QUICK, heartbeat: { interval: 300, timeout: 30_000 } };

describe('a connection that is dead in one direction only, with traffic in the other', () => {
  const suite = appSuite({ proxy: 'listener', options: PATIENT });
  let traffic: { readonly stop: () => Promise<void> };

  beforeEach(() => {
    traffic = sendFor(suite.database);
  });

  afterEach(() => traffic.stop());

  it.each<[string, (listener: PgListener) => unknown, PgNotifyHeartbeatOptions]>([
    ['its heartbeat asks', () => undefined, { compareInterval: 300 }],
    ['a new channel waits to be listened to', (listener) => listener.subscribe('late', silent), {}],
    ['the application asks', (listener) => listener.queueUsage().catch(() => undefined), {}],
  ])('is noticed when %s, and healed', async (_when, ask, heartbeat) => {
    const listener = createTestListener(suite.proxy, suite.database, heartbeat);
    const gaps = new Recorder<PgGap>();
    const payloads = new Recorder<string>();
    listener.subscribe('watched', {
      notification: ({ raw }) => payloads.push(raw),
      gap: gaps.push,
      complete: () => undefined,
    });
    await listener.start();
    await payloads.until(1);

    const lost = firstValueFrom(listener.status$.pipe(filter(({ state }) => state === 'reconnecting')));
    const { length } = payloads.items;
    suite.proxy.stall('up');
    ask(listener);
    await payloads.until(length + 3); // It still delivers.
    const { lastFailure } = await lost;
    expect(lastFailure?.message).toMatch(
      `no answer within ${ANSWER_LIMIT} ms to what was asked, while other messages came in.`,
    );
    suite.proxy.heal();
    await listener.ready();
    await gaps.until((all) => all.some(({ reason }) => reason === 'reconnect'));
    await listener.stop();
  });

  it('does not keep a health probe waiting', async () => {
    const subject = watched(await suite.create());
    await subject.app.init();
    await expectDelivery(subject, 'before');
    suite.proxy.stall('up');
    const health = new PgNotifyHealthIndicator(subject.service, 300);
    const { pg_notify: found } = await health.isHealthy();
    expect(found).toMatchObject({ status: 'down', reason: 'the server has not answered within 300 ms' });
    expect(subject.service.status.state).toBe('listening');
  });
});

const silent = { notification: () => undefined, gap: () => undefined, complete: () => undefined };

/** What sends goes another way: the fault is the listener's own. */
function optionsFor(proxy: FaultProxy, { url }: TestDatabase): PgNotifyModuleOptions {
  return { ...PATIENT, connection: proxy.url(url), publisher: { connection: url } };
}

function createTestListener(
  proxy: FaultProxy,
  database: TestDatabase,
  heartbeat: PgNotifyHeartbeatOptions,
): PgListener {
  const options = { ...optionsFor(proxy, database), heartbeat: { ...PATIENT.heartbeat, ...heartbeat } };
  const { connection, publisherConnection } = resolveConnections(options);
  const connectTimeout = 5_000;
  const onError = (error: unknown): void => {
    throw error;
  };
  const context = consumerContext({ clock: systemClock, onError });
  return createListener(
    resolveOptions(options),
    {
      connection,
      openSendingSession: ({ applicationName, signal }) =>
        PgSession.open(publisherConnection, { applicationName, connectTimeout, signal }),
      answerLimit: ANSWER_LIMIT,
    },
    context,
  );
}

/** Notifies all the time, more often than a heartbeat is due. */
function sendFor(database: TestDatabase) {
  let isOver = false;
  const send = async (): Promise<void> => {
    for (let n = 0; !isOver; n += 1) await database.query(`SELECT pg_notify('watched', '${n}'), pg_sleep(0.02)`);
  };
  const sending = send();
  return {
    stop: async () => {
      isOver = true;
      await sending;
    },
  };
}
