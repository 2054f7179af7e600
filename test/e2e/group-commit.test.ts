import { beforeAll, describe, expect, it } from '@jest/globals';
import { definePgChannel } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { Recorder } from '../support/recorder.js';
import { countTransactions } from '../support/transactions.js';

describe('notify() by many callers at a time', () => {
  const suite = appSuite();
  let subject: TestApp;
  const received = new Recorder<string>();

  beforeAll(async () => {
    subject = await suite.create();
    for (const channel of ['a', 'b']) {
      subject.service.listen(channel).subscribe(({ payload }) => received.push(`${channel} ${String(payload)}`));
    }
    await subject.app.init();
  });

  it('sends equal payloads that wait once if the channel folds, and keeps their place', async () => {
    const { service } = subject;
    const WakeUps = definePgChannel('folding', { fold: true });
    const seen = new Recorder<unknown>();
    service.listen(WakeUps).subscribe(({ payload }) => seen.push(payload));
    await service.ready();
    await Promise.all([
      service.notify(WakeUps, 'first'), // On its way at once.
      ...Array.from({ length: 50 }, () => service.notify(WakeUps, 'wake')),
      service.notify(WakeUps, 'other'),
      ...Array.from({ length: 50 }, () => service.notify(WakeUps, 'wake')),
      service.notifyMany(WakeUps, ['wake', 'other', 'last']),
    ]);
    expect(await seen.until(4)).toEqual(['first', 'wake', 'other', 'last']);
    await service.notify(WakeUps, 'wake');
    expect(await seen.until(5)).toEqual(['first', 'wake', 'other', 'last', 'wake']);
  });

  it('delivers every payload, equal ones too, in the order of the calls and in few transactions', async () => {
    const { service } = subject;
    const sent = Array.from({ length: 5_000 }, (_, i) => [i % 2 ? 'a' : 'b', i % 1_250] as const);
    const transactions = await countTransactions(suite.database, async () => {
      await Promise.all(sent.map(([channel, number]) => service.notify(channel, number)));
      expect(await received.until(5_000)).toEqual(sent.map(([channel, number]) => `${channel} ${number}`));
      await subject.app.close();
    });
    expect(transactions).toBeLessThan(500);
  });
});
