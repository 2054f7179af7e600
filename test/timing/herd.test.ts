import { describe, expect, it } from '@jest/globals';
import { filter, firstValueFrom } from 'rxjs';
import { PgListener } from '../../lib/listener/pg-listener.js';
import { PgSession } from '../../lib/session/pg-session.js';
import { systemClock } from '../../lib/time/clock.js';
import { appSuite } from '../support/app/app-suite.js';
import { consumerContext } from '../support/consumer-context.js';
import { eventually } from '../support/recorder.js';
import { queryOnce } from '../support/standby.js';

const CLIENTS = 50;
const BUCKET = 10;

describe('fifty listeners of one server', () => {
  const suite = appSuite({ server: {} });

  function createListener(): PgListener {
    const connection = { option: 'connection', read: () => ({ connectionString: suite.server.url() }) };
    return new PgListener(
      {
        openSession: (signal, onNotification) =>
          PgSession.open(connection, {
            applicationName: 'nest-pg-notify listener',
            connectTimeout: 10_000,
            signal,
            onNotification,
          }),
        startup: { mode: 'wait', timeout: 20_000 },
        reconnect: { minDelay: 100, maxDelay: 30_000, stableAfter: 10_000 }, // As by default.
        heartbeat: { interval: 10_000, timeout: 5_000, compareInterval: 60_000 },
        deliveryCheck: false,
        statementTimeout: 10_000,
      },
      consumerContext({ clock: systemClock }),
    );
  }

  interface Backend {
    readonly pid: number;
    /** Milliseconds after the server's start. */
    readonly started: number;
  }

  const backends = (): Promise<Backend[]> =>
    queryOnce<Backend & Record<string, unknown>>(
      suite.server.url(),
      `SELECT pid, extract(epoch FROM backend_start - pg_postmaster_start_time())::float * 1000 AS started
       FROM pg_stat_activity WHERE application_name = 'nest-pg-notify listener' ORDER BY backend_start`,
    );

  it('come back after a fast restart, each once, and not all at the same time', async () => {
    const listeners = Array.from({ length: CLIENTS }, createListener);
    suite.cleanup(() => Promise.all(listeners.map((listener) => listener.stop())));
    for (const listener of listeners) {
      listener.subscribe('herd', { notification: () => undefined, gap: () => undefined, complete: () => undefined });
    }
    await Promise.all(listeners.map((listener) => listener.start()));
    const lost = listeners.map(({ status$ }) =>
      firstValueFrom(status$.pipe(filter(({ state }) => state === 'reconnecting'))),
    );
    await suite.server.restart('fast');
    await Promise.all(lost);
    await Promise.all(listeners.map((listener) => listener.ready()));

    const back = await eventually(backends, ({ length }) => length === CLIENTS);
    const pids = listeners.map(({ currentStatus }) => currentStatus.processId!);
    expect(back.map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual(pids.toSorted((a, b) => a - b));
    const times = back.map(({ started }) => started);
    const spread = times.at(-1)! - times[0]!;
    const buckets = new Map<number, number>();
    for (const bucket of times.map((time) => Math.floor(time / BUCKET))) {
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
    }
    const crowd = Math.max(...buckets.values());
    expect(crowd).toBeLessThan(CLIENTS / 2);
    expect(buckets.size).toBeGreaterThan(5);
    expect(spread).toBeGreaterThan(5 * BUCKET);
  });
});
