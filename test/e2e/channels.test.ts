import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { definePgChannel, PgNotifyError } from 'nest-pg-notify';
import type { PgGap, PgNotification, PgNotifyService } from 'nest-pg-notify';
import { filter, firstValueFrom } from 'rxjs';
import type { Subscription } from 'rxjs';
import { channelsOnServer, createApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';
import { recordStatements } from '../support/app/listening-session.js';

const ODD_NAMES = [
  'UpperCase',
  'upper"quote',
  '""',
  "it's; DROP TABLE x; --",
  'dotted.name',
  'with spaces ',
  '日本語 🐘',
  '__proto__',
  'constructor',
  '\n\t\\',
  'x'.repeat(63),
  `${'x'.repeat(59)}🐘`,
];

describe('channels', () => {
  let database: TestDatabase;
  let subject: TestApp;
  let service: PgNotifyService;
  let subscriptions: Subscription[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
    subject = await createApp({ connection: database.url });
    service = subject.service;
    await subject.app.init();
  });

  afterEach(async () => {
    for (const subscription of subscriptions.splice(0)) subscription.unsubscribe();
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual([]);
  });

  afterAll(async () => {
    await subject.app.close();
    await database.drop();
  });

  function subscribe(channel: string): Recorder<PgNotification> {
    const received = new Recorder<PgNotification>();
    subscriptions.push(service.listen(channel).subscribe(received.push));
    return received;
  }

  it.each(ODD_NAMES)('carry the name %j as it is', async (name) => {
    const received = subscribe(name);
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual([name]);
    await service.notify(name, 'through notify()');
    await database.query('SELECT pg_notify($1, $2)', [name, '"through SQL"']);
    const notifications = await received.until(2);
    expect(notifications.map(({ channel, payload }) => [channel, payload])).toEqual([
      [name, 'through notify()'],
      [name, 'through SQL'],
    ]);
  });

  it('carry what is sent to the very name, and nothing that is sent to a similar one', async () => {
    const upper = subscribe('Folded');
    const lower = subscribe('folded');
    await service.ready();
    await database.query(`NOTIFY Folded, '1'`); // Without quotes, SQL folds the name to lower case.
    await database.query(`NOTIFY "Folded", '2'`);
    await Promise.all([upper.until(1), lower.until(1)]);
    expect([lower.items[0]?.payload, upper.items[0]?.payload]).toEqual([1, 2]);
  });

  it.each([
    ['', 'A channel name must not be empty.'],
    ['x'.repeat(64), `Channel "${'x'.repeat(64)}" is 64 bytes long; PostgreSQL allows 63.`],
    [`${'x'.repeat(60)}🐘`, 'is 64 bytes long'],
    ['a\0b', 'Channel "a\\u0000b" contains a NUL character'],
    ['half \ud800', 'contains half of a surrogate pair'],
    [undefined as unknown as string, 'A channel name must be a string, not undefined.'],
  ])('refuse the name %j before the server sees it', async (name, message) => {
    expect(() => service.listen(name)).toThrow(message);
    expect(() => definePgChannel(name)).toThrow(PgNotifyError);
    await expect(service.notify(name)).rejects.toMatchObject({ kind: 'channel' });
    if (name !== undefined) expect(() => service.gaps(name)).toThrow(message);
  });

  it('are listened to while they have a subscriber, of notifications or of gaps', async () => {
    const first = service.listen('busy').subscribe();
    const second = service.listen(definePgChannel('busy')).subscribe();
    const gaps = service.gaps('busy').subscribe();
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual(['busy']);
    first.unsubscribe();
    second.unsubscribe();
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual(['busy']);
    gaps.unsubscribe();
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual([]);
  });

  it('follow the last intent when subscribers come and go', async () => {
    const gone = service.listen('fickle').subscribe();
    await service.ready();
    gone.unsubscribe();
    const gaps = new Recorder<PgGap>();
    subscriptions.push(service.gaps('fickle').subscribe(gaps.push));
    subscribe('fickle');
    service.listen('never').subscribe().unsubscribe();
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual(['fickle']);
    expect(gaps.items.map(({ reason }) => reason)).toEqual(['start']);
    expect(service.status.channels).toEqual({ wanted: 1, acknowledged: 1 });
  });

  it('are asked for in one statement when they are wanted together', async () => {
    const statements = recordStatements(subject);
    const names = Array.from({ length: 1_000 }, (_, index) => `channel ${String(index).padStart(3, '0')}`);
    for (const name of names) subscribe(name);
    await service.ready();
    expect(statements.items.filter((text) => text.includes('LISTEN'))).toHaveLength(1);
    expect(await channelsOnServer(subject)).toEqual(names);
  });

  it('send nothing, JSON, and text as they were asked to', async () => {
    const received = subscribe('sent');
    await service.ready();
    await service.notify('sent');
    await service.notify('sent', 'text');
    await service.notify('sent', { nested: [1, 'zwei', null] });
    await service.notify(definePgChannel('sent', { codec: 'text' }), 'not "quoted"');
    const notifications = await received.until(4);
    expect(notifications.map(({ raw }) => raw)).toEqual(['', '"text"', '{"nested":[1,"zwei",null]}', 'not "quoted"']);
  });

  it('refuse a payload that PostgreSQL would refuse, and take the largest that it takes', async () => {
    const text = definePgChannel('limit', { codec: 'text' });
    const received = subscribe('limit');
    await service.ready();
    await expect(service.notify(text, 'x'.repeat(8_000))).rejects.toMatchObject({
      kind: 'payload',
      size: 8_000,
      limit: 7_999,
      message: expect.stringContaining('Send the id and read the row in the handler.'),
    });
    await expect(service.notify(text, 'a\0b')).rejects.toThrow('contains a NUL character');
    await expect(service.notify(text, '\udfff')).rejects.toThrow('half of a surrogate pair');
    await expect(service.notify('limit', 10n)).rejects.toThrow('cannot be written as JSON');
    await expect(service.notify('limit', () => 1)).rejects.toThrow('is a function, which JSON has no form for');
    await service.notify(text, 'é'.repeat(3_999) + 'x');
    expect((await received.until(1))[0]?.raw).toHaveLength(4_000);
  });

  it('must be names, or what definePgChannel() made', () => {
    const forged = { name: 'x'.repeat(70), codec: 'auto' as const, fold: false };
    expect(() => service.listen(forged)).toThrow('A channel must be a name, or what definePgChannel() has returned.');
  });
});

describe('a database whose encoding lacks a character', () => {
  it('refuses one channel or message, and the others go on', async () => {
    const admin = await createTestDatabase();
    const name = `latin1_${admin.name}`;
    await admin.query(`CREATE DATABASE ${name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    const { app, service, logger } = await createApp({ connection: { ...admin.config, database: name } });
    await app.init();
    const received = new Recorder<unknown>();
    service.listen('good').subscribe(({ payload }) => received.push(payload));
    service.listen('room:🐘').subscribe();
    service.listen('also good').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    const text = definePgChannel('good', { codec: 'text' });
    const outcomes = await Promise.all([
      service.notify('good', 1),
      service.notify(text, '🐘').catch((error: PgNotifyError) => error.outcome),
      service.notify('also good', 2),
    ]);
    expect(outcomes).toEqual([undefined, 'not-sent', undefined]);
    expect(await received.until(2)).toEqual([1, 2]);
    expect(service.status).toMatchObject({ state: 'listening', channels: { wanted: 3, acknowledged: 2 } });
    // The next session is refused the channel as well: that is told once.
    const again = firstValueFrom(service.gaps('good').pipe(filter(({ reason }) => reason === 'reconnect')));
    await admin.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
    await again;
    await service.ready();
    expect(service.status.channels).toEqual({ wanted: 3, acknowledged: 2 });
    expect(logger.texts('error')).toEqual([
      expect.stringContaining('The server refuses to LISTEN to the channel "room:🐘"'),
    ]);
    await app.close();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.drop();
  });
});
