import { describe, expect } from '@jest/globals';
import type { PgNotifyError } from 'nest-pg-notify';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { failureOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';
import { itFrom } from '../support/version-gate.js';

describe('a notification queue', () => {
  const suite = appSuite({ server: { settings: { max_notify_queue_pages: '64' } } });

  // FAULTS 23. Before PostgreSQL 17 the queue always is 8 GB.
  itFrom(17, 'refuses notify() with a remedy while it is full, and sends again when there is room', async () => {
    const { app, service } = await suite.create();
    const errors = new Recorder<PgNotifyError>();
    service.errors$.subscribe(errors.push);
    await app.init();
    const blocker = new Client(suite.database.url);
    suite.cleanup(() => blocker.end());
    await blocker.connect();
    await blocker.query('LISTEN anything');
    await blocker.query('BEGIN');
    await blocker.query('SELECT txid_current()');
    const { rows } = await blocker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');

    const large = 'x'.repeat(7_900);
    const full = await failureOf(async () => {
      for (let sent = 0; ; sent += 1) await service.notify('filling', `${large}${sent}`);
    });
    expect(full).toMatchObject({ kind: 'publish', outcome: 'not-sent', sqlState: '54000', channel: 'filling' });
    expect(full.message).toMatch(
      /^The notification for channel "filling" was not sent\. .*too many notifications in the NOTIFY queue \(SQLSTATE 54000\)\. A listener somewhere in the cluster does not read, or has a transaction open: queueUsage\(\)/,
    );
    expect(errors.items).toEqual([full]);
    const { heldBackBy } = await service.queueUsage();
    expect(heldBackBy).toBe(rows[0]!.pid);
    const payloads = [1, 2, 3].map((i) => `${large}${i}`);
    const many = await failureOf(service.notifyMany('filling', payloads));
    expect(many).toMatchObject({ kind: 'publish', outcome: 'not-sent', sqlState: '54000' });
    expect(many.failures?.map(({ index }) => index)).toEqual([0, 1, 2]);

    const received = new Recorder<unknown>();
    service.listen('filling').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    await blocker.query('ROLLBACK');
    await blocker.query('SELECT 1'); // Reads what waits for it.
    // The server does not look by itself whether there is room again: somebody has to ask.
    const other = new Client(suite.database.url);
    await other.connect();
    await expect(other.query(`SELECT pg_notify('filling', 'from somebody else')`)).rejects.toMatchObject({
      code: '54000',
    });
    await other.end();
    await service.notifyMany('filling', payloads);
    expect(await received.until(3)).toEqual(payloads);
  });
});
