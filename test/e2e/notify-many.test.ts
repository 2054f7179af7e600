import { describe, expect, it } from '@jest/globals';
import { definePgChannel, PgNotifyError } from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { Client } from 'pg';
import { z } from 'zod';
import { appSuite } from '../support/app/app-suite.js';
import { Recorder } from '../support/recorder.js';
import { countTransactions } from '../support/transactions.js';
import { numbers } from '../support/numbers.js';
import { failureOf } from '../support/failures.js';

describe('notifyMany()', () => {
  const suite = appSuite();

  async function start(options: Partial<PgNotifyModuleOptions> = {}) {
    const { app, service } = await suite.start({ deliveryCheck: false, ...options });
    const received = new Recorder<unknown>();
    service.listen('many').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    return { app, service, received };
  }

  it('delivers all payloads in order, between what was sent before and after, in few transactions', async () => {
    const { service, received } = await start({ publisher: { maxWaiting: 3_000 } });
    const transactions = await countTransactions(suite.database, async () => {
      await Promise.all([
        service.notify('many', 'before'),
        service.notifyMany('many', numbers(25_000)),
        service.notify('many', 'after'),
      ]);
      expect(await received.until(25_002)).toEqual(['before', ...numbers(25_000), 'after']);
    });
    expect(transactions).toBeLessThan(100);
  });

  it('delivers equal payloads as often as they are given', async () => {
    const { service, received } = await start();
    await service.notifyMany('many', ['same', 'same', 'other', 'same']);
    expect(await received.until(4)).toEqual(['same', 'same', 'other', 'same']);
  });

  it('sends the others when some cannot be sent, and names those', async () => {
    const Many = definePgChannel('many', { schema: z.string().startsWith('good') });
    const { service, received } = await start();
    const errors: unknown[] = [];
    service.errors$.subscribe((error) => errors.push(error));
    const payloads = [
      'good 0',
      `good${'x'.repeat(8_000)}`,
      'good 2',
      'bad',
      'good 4',
      'good \0',
      'good 6',
      'good \ud800',
    ];
    // JSON escapes NUL and halves of surrogate pairs; as text they cannot be sent.
    const AsText = definePgChannel('many', { codec: 'text' });
    const text = await failureOf(service.notifyMany(AsText, payloads));
    expect(text.failures?.map(({ index }) => index)).toEqual([1, 5, 7]);
    const error = await failureOf(service.notifyMany(Many, payloads));
    expect(error).toBeInstanceOf(PgNotifyError);
    expect(error).toMatchObject({ kind: 'payload', channel: 'many', outcome: 'not-sent' });
    expect(error.message).toMatch(
      /^2 of 8 notifications for channel "many" were not sent, the others were\. \[1\] The payload .* 7999\. .* \[3\] /,
    );
    expect(error.failures).toMatchObject([
      { index: 1, error: { kind: 'payload', size: 8_006, limit: 7_999 } },
      { index: 3, error: { kind: 'payload', issues: expect.any(Array) } },
    ]);
    const good = (index: number): string => payloads[index]!;
    const sentAsText = [0, 2, 3, 4, 6].map(good);
    expect(await received.until(11)).toEqual([...sentAsText, ...[0, 2, 4, 5, 6, 7].map(good)]);
    expect(errors).toEqual([]); // The caller knows, and nothing was lost on the way.
  });

  it('sends the others when the encoding of the database lacks a character of one', async () => {
    const latin = await suite.createDatabase('LATIN1');
    const { service, received } = await start({ connection: latin.url });
    const error = await failureOf(service.notifyMany('many', ['ä', 'ok', '🐘', 'ß']));
    expect(error).toMatchObject({ kind: 'publish', outcome: 'not-sent', sqlState: '22P05' });
    expect(error.failures).toMatchObject([{ index: 2, error: { sqlState: '22P05' } }]);
    expect(await received.until(3)).toEqual(['ä', 'ok', 'ß']);
  });

  it('belongs to the transaction of the caller when given an executor', async () => {
    const { service, received } = await start();
    const client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
    await client.query('BEGIN');
    await service.notifyMany('many', numbers(2_500), { executor: client });
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await service.notifyMany('many', [...numbers(2_500), '\'"\\', 7], { executor: client });
    await service.notify('many', 'before the commit'); // On a connection of its own.
    await client.query('COMMIT');
    expect(await received.until(2_502)).toEqual(['before the commit', ...numbers(2_500), '\'"\\']);

    await client.query('BEGIN');
    await client.query('SELECT no_such_column').catch(() => undefined);
    const error = await failureOf(service.notifyMany('many', numbers(1_500), { executor: client }));
    await client.query('ROLLBACK');
    expect(error).toMatchObject({ kind: 'publish', outcome: 'not-sent', sqlState: '25P02' });
    expect(error.message).toMatch(/^1500 of 1500 notifications for channel "many" were not sent\. \[0\] /);
    expect(error.failures?.map(({ index }) => index)).toEqual(numbers(1_500));
  });

  it('rejects as a whole when nothing can be sent at all', async () => {
    const { app, service } = await start();
    await app.close();
    const error = await failureOf(service.notifyMany('many', numbers(2_500)));
    expect(error).toMatchObject({ kind: 'closed', channel: 'many' });
    expect(error.failures).toBeUndefined(); // None was tried.
  });

  it('accepts nothing but an array, which may be empty', async () => {
    const { service } = await start();
    await service.notifyMany('many', []);
    for (const [payloads, found] of [
      ['abc', 'string'],
      [null, 'null'],
      [Promise.resolve([1]), 'a promise: await it'],
    ] as const) {
      await expect(service.notifyMany('many', payloads as unknown as string[])).rejects.toMatchObject({
        kind: 'payload',
        message: `notifyMany() takes an array of payloads, not ${found}.`,
      });
    }
    await expect(service.notifyMany('x'.repeat(64), [])).rejects.toMatchObject({ kind: 'channel' });
  });
});
