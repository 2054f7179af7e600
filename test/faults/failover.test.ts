import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgGap, PgNotifyModuleOptions, PgNotifyStatus } from 'nest-pg-notify';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import type { TestApp } from '../support/app/test-app.js';
import { listeningBackends, untilListeners } from '../support/backends.js';
import { rejection } from '../support/failures.js';
import { eventually, Recorder } from '../support/recorder.js';
import { createStandby, queryOnce } from '../support/standby.js';

describe('a primary with a standby', () => {
  const suite = appSuite({
    server: {},
    options: { reconnect: { minDelay: 20, maxDelay: 200 }, heartbeat: { interval: 50 } },
  });
  let first: PostgresCluster;
  let second: PostgresCluster;

  beforeAll(async () => {
    first = suite.server;
    second = await createStandby(first);
    suite.cleanup(() => second.remove());
  });

  async function create(
    connection: PgNotifyModuleOptions['connection'],
    options: Partial<PgNotifyModuleOptions> = {},
  ): Promise<TestApp & { readonly gaps: Recorder<PgGap>; readonly payloads: Recorder<unknown> }> {
    const subject = await suite.create({ connection, ...options });
    const gaps = new Recorder<PgGap>();
    const payloads = new Recorder<unknown>();
    subject.service.gaps('orders').subscribe(gaps.push);
    subject.service.listen('orders').subscribe(({ payload }) => payloads.push(payload));
    return { ...subject, gaps, payloads };
  }

  const standbyMessage = (): string =>
    `127.0.0.1:${second.port}: this server is a standby, which cannot LISTEN. Connect to the primary.`;

  it('waits for a standby at the start, warns once, and says to connect to the primary', async () => {
    const patient = await create(second.url());
    const closed = rejection(patient.app.init());
    const { lastFailure } = await untilStatus(patient, ({ attempts }) => attempts > 2);
    expect(lastFailure).toMatchObject({ kind: 'connection', sqlState: '25006' });
    expect(patient.logger.texts('warn')).toEqual([
      expect.stringContaining(`Not listening yet: ${standbyMessage()} Trying again.`),
    ]);
    await patient.app.close();
    expect(await closed).toMatchObject({ kind: 'closed' });

    // Long enough for one attempt on a slow machine.
    const { app, service } = await create(second.url(), { startup: { timeout: 2_000 } });
    await expect(app.init()).rejects.toThrow(
      `Could not listen within the startup timeout of 2000 ms. The last failure: ${standbyMessage()} ` +
        `Raise startup.timeout, or set startup.mode to 'background' to boot without PostgreSQL.`,
    );
    expect(service.status.lastFailure).toMatchObject({ kind: 'connection', sqlState: '25006' });
    expect(await listeningBackends({ url: second.url() })).toEqual([]);
  });

  it('starts with an unknown delivery when notifications are sent to a standby', async () => {
    const subject = await create(first.url(), { publisher: { connection: second.url() } });
    await subject.app.init();
    const { delivery } = subject.service.status;
    expect(delivery).toMatchObject({ verdict: 'unknown', cause: 'standby' });
    expect(delivery?.message).toContain('Whether notifications arrive is unknown: the connection that sends failed.');
    expect(delivery?.message).toContain('(SQLSTATE 25006)');
    expect(delivery?.message).toMatch(/Point the option publisher\.connection to the primary\.$/);
    expect(subject.logger.texts('warn')).toEqual([expect.stringContaining(delivery!.message!)]);
  });

  describe('that was promoted', () => {
    beforeAll(() => queryOnce(second.url(), 'SELECT pg_promote()'));

    it('leaves a primary that becomes read-only, listens on it again if there is no other, and moves on when there is', async () => {
      const current = { url: first.url() };
      const subject = await create(() => ({ connectionString: current.url }));
      const { app, service, logger, gaps, payloads } = subject;
      await app.init();
      await service.ready();
      const statuses = new Recorder<PgNotifyStatus>();
      service.status$.subscribe(statuses.push);
      const setReadOnly = async (value: string): Promise<void> => {
        await queryOnce(first.url(), `ALTER SYSTEM SET default_transaction_read_only = ${value}`);
        await queryOnce(first.url(), 'SELECT pg_reload_conf()');
      };
      const failures = (): (string | undefined)[] => statuses.items.map(({ lastFailure }) => lastFailure?.message);

      await setReadOnly('on');
      await statuses.until(() => failures().includes(`127.0.0.1:${first.port}: the server has become read-only.`));
      const refused = `127.0.0.1:${first.port}: this server has become read-only. Connect to the primary.`;
      await statuses.until(() => failures().includes(refused));
      await service.ready();
      expect(service.status).toMatchObject({ state: 'listening', channels: { wanted: 1, acknowledged: 1 } });
      expect(logger.texts('warn').filter((line) => line.includes('every attempt leads to it'))).toHaveLength(1);
      await service.notify('orders', 'read-only');
      await payloads.until(1);

      const { processId } = service.status;
      current.url = second.url();
      await statuses.until((seen) => seen.at(-1)?.state === 'listening' && seen.at(-1)?.processId !== processId);
      await service.ready();
      await queryOnce(second.url(), `SELECT pg_notify('orders', '"elsewhere"')`);
      expect(await payloads.until(2)).toEqual(['read-only', 'elsewhere']);
      expect(gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect', 'reconnect']);
      expect(service.status.lastFailure?.message).toBe(
        `127.0.0.1:${first.port}: read-only, and 127.0.0.1:${second.port} can write.`,
      );
      await untilListeners({ url: first.url() }, 0);
      expect(await listeningBackends({ url: second.url() })).toEqual([service.status.processId]);
      await setReadOnly('off');
    });

    it('keeps the session on a read-only primary that becomes writable again', async () => {
      const subject = await create(first.url());
      const { app, service, gaps, payloads } = subject;
      await app.init();
      await service.ready();
      const warned = (): number => subject.logger.texts('warn').filter((line) => line.includes('every attempt')).length;
      await queryOnce(first.url(), 'ALTER SYSTEM SET default_transaction_read_only = on');
      await queryOnce(first.url(), 'SELECT pg_reload_conf()');
      await eventually(warned, (count) => count === 1);
      await service.ready();
      const { processId } = service.status;
      await queryOnce(first.url(), 'ALTER SYSTEM SET default_transaction_read_only = off');
      await queryOnce(first.url(), 'SELECT pg_reload_conf()');
      for (const round of [1, 2, 3]) {
        await service.notify('orders', round);
        await payloads.until(round);
      }
      expect(service.status.processId).toBe(processId);
      expect(gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
    });

    // The publisher keeps its session to the old primary, which takes a NOTIFY also while it is read-only.
    it('sends to where the listener listens, after both have left the old primary', async () => {
      const current = { url: first.url() };
      const subject = await create(() => ({ connectionString: current.url }));
      const { app, service, payloads } = subject;
      await app.init();
      await service.ready();
      await service.notify('orders', 'here');
      await payloads.until(1);
      const lost = untilLost(subject);
      await queryOnce(first.url(), 'ALTER SYSTEM SET default_transaction_read_only = on');
      await queryOnce(first.url(), 'SELECT pg_reload_conf()');
      await lost;
      current.url = second.url();
      await service.ready();
      await service.notify('orders', 'elsewhere');
      await queryOnce(second.url(), `SELECT pg_notify('orders', '"last"')`);
      expect(await payloads.until((items) => items.at(-1) === 'last')).toEqual(['here', 'elsewhere', 'last']);
    });
  });
});
