import { describe, expect, it } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { askListeningSession } from '../support/app/listening-session.js';
import { untilLost } from '../support/app/status.js';
import { listeningBackends } from '../support/backends.js';
import { eventually } from '../support/recorder.js';

// FAULTS 4, the server's side: what it does with a backend whose listener is gone without a word.
describe('a listening backend', () => {
  const suite = appSuite({ proxy: 'all', options: QUICK });

  it('is set up to probe a silent client every few seconds', async () => {
    const subject = await suite.start();
    const rows = await askListeningSession(
      subject,
      `SELECT name, setting FROM pg_settings WHERE name LIKE 'tcp_keepalives%' OR name = 'tcp_user_timeout'`,
    );
    const settings = Object.fromEntries(rows.map(({ name, setting }) => [name, Number(setting)]));
    // After 5 s of silence it asks, and asks again twice, every 2 s. What it has sent may wait 10 s (in ms here).
    expect(settings).toEqual({
      tcp_keepalives_idle: 5,
      tcp_keepalives_interval: 2,
      tcp_keepalives_count: 2,
      tcp_user_timeout: 10_000,
    });
  });

  // A kernel answers keepalives for any process that lives; so what is shown here is the time-out of what was sent.
  it('is ended by the server when nobody reads what it sends, and then no longer holds back the notification queue', async () => {
    const { database, proxy } = suite;
    const subject = await suite.start({ publisher: { timeout: 300 } });
    subject.service.listen('watched').subscribe();
    await subject.service.ready();
    const { processId: orphan } = subject.service.status;
    const lost = untilLost(subject);
    proxy.blackhole();
    await lost;
    proxy.heal();
    await subject.service.ready();
    expect(await listeningBackends(database)).toContain(orphan);

    // More than the buffers of both sockets hold: the backend waits for its client to read.
    await database.query(
      `SELECT count(pg_notify('watched', repeat('x', 7900) || n)) FROM generate_series(1, 3000) AS n`,
    );
    const wait = 'SELECT wait_event FROM pg_stat_activity WHERE pid = $1';
    await eventually(
      async () => (await database.query(wait, [orphan])).rows[0]?.wait_event,
      (event) => event === 'ClientWrite' || event === undefined,
    );
    await eventually(
      () => listeningBackends(database),
      (pids) => !pids.includes(orphan!),
    );
    expect(await listeningBackends(database)).toEqual([subject.service.status.processId]);
    const { rows } = await database.query<{ used: number }>('SELECT pg_notification_queue_usage() AS used');
    expect(Number(rows[0]?.used)).toBeLessThan(0.01);
  });
});
