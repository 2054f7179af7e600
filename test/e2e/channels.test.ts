import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { definePgChannel, PgNotifyError } from 'nest-pg-notify';
import type { PgGap, PgNotification, PgNotifyService } from 'nest-pg-notify';
import { filter, firstValueFrom } from 'rxjs';
import type { Subscription } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { outcomeOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';
import { channelsOnServer, recordStatements } from '../support/app/listening-session.js';

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

describe('a channel', () => {
  const suite = appSuite();
  let subject: TestApp;
  let service: PgNotifyService;
  let subscriptions: Subscription[] = [];

  beforeAll(async () => {
    subject = await suite.create();
    service = subject.service;
    await subject.app.init();
  });

  afterEach(async () => {
    for (const subscription of subscriptions.splice(0)) subscription.unsubscribe();
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual([]);
  });

  function subscribe(channel: string): Recorder<PgNotification> {
    const received = new Recorder<PgNotification>();
    subscriptions.push(service.listen(channel).subscribe(received.push));
    return received;
  }

  it.each(ODD_NAMES)('carries the name %j as it is', async (name) => {
    const received = subscribe(name);
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual([name]);
    await service.notify(name, 'through notify()');
    await suite.database.query('SELECT pg_notify($1, $2)', [name, '"through SQL"']);
    const notifications = await received.until(2);
    expect(notifications.map(({ channel, payload }) => [channel, payload])).toEqual([
      [name, 'through notify()'],
      [name, 'through SQL'],
    ]);
  });

  it('carries what is sent to its exact name, and nothing that is sent to a similar one', async () => {
    const upper = subscribe('Folded');
    const lower = subscribe('folded');
    await service.ready();
    await suite.database.query(`NOTIFY Folded, '1'`); // Without quotes, SQL folds the name to lower case.
    await suite.database.query(`NOTIFY "Folded", '2'`);
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
  ])('refuses the name %j before the server sees it', async (name, message) => {
    expect(() => service.listen(name)).toThrow(message);
    expect(() => definePgChannel(name)).toThrow(PgNotifyError);
    await expect(service.notify(name)).rejects.toMatchObject({ kind: 'channel' });
    if (name !== undefined) expect(() => service.gaps(name)).toThrow(message);
  });

  it('is listened to while it has a subscriber, of notifications or of gaps', async () => {
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

  it('is listened to as the last subscriber wants when subscribers come and go', async () => {
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

  it('is asked for in one statement with all others that are wanted at the same time', async () => {
    const statements = recordStatements(subject);
    const names = Array.from({ length: 1_000 }, (_, index) => `channel ${String(index).padStart(3, '0')}`);
    for (const name of names) subscribe(name);
    await service.ready();
    expect(statements.items.filter((text) => text.includes('LISTEN'))).toHaveLength(1);
    expect(await channelsOnServer(subject)).toEqual(names);
  });

  it('sends no payload, JSON, or text, as its definition says', async () => {
    const received = subscribe('sent');
    await service.ready();
    await service.notify('sent');
    await service.notify('sent', 'text');
    await service.notify('sent', { nested: [1, 'zwei', null] });
    await service.notify(definePgChannel('sent', { codec: 'text' }), 'not "quoted"');
    const notifications = await received.until(4);
    expect(notifications.map(({ raw }) => raw)).toEqual(['', '"text"', '{"nested":[1,"zwei",null]}', 'not "quoted"']);
  });

  it('refuses a payload that PostgreSQL would refuse, and takes the largest that it takes', async () => {
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

  it('must be a name or a definition made by definePgChannel()', () => {
    const forged = { name: 'x'.repeat(70), codec: 'auto' as const, fold: false };
    expect(() => service.listen(forged)).toThrow('A channel must be a name or a definition made by definePgChannel().');
  });
});

describe('a database whose encoding lacks a character', () => {
  const suite = appSuite({ encoding: 'LATIN1' });

  it('refuses one channel or message, and the others go on', async () => {
    const { service, logger } = await suite.start();
    const received = new Recorder<unknown>();
    service.listen('good').subscribe(({ payload }) => received.push(payload));
    service.listen('room:🐘').subscribe();
    service.listen('also good').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    const text = definePgChannel('good', { codec: 'text' });
    const outcomes = await Promise.all([
      outcomeOf(service.notify('good', 1)),
      outcomeOf(service.notify(text, '🐘')),
      outcomeOf(service.notify('also good', 2)),
    ]);
    expect(outcomes).toEqual(['sent', 'not-sent', 'sent']);
    expect(await received.until(2)).toEqual([1, 2]);
    expect(service.status).toMatchObject({ state: 'listening', channels: { wanted: 3, acknowledged: 2 } });
    // The next session is refused the channel as well: that is told once.
    const again = firstValueFrom(service.gaps('good').pipe(filter(({ reason }) => reason === 'reconnect')));
    await suite.database.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
    await again;
    await service.ready();
    expect(service.status.channels).toEqual({ wanted: 3, acknowledged: 2 });
    expect(logger.texts('error')).toEqual([
      expect.stringContaining('The server refuses to LISTEN to the channel "room:🐘"'),
    ]);
  });
});
