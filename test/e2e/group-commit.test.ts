import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';

describe('notify() by many callers at a time', () => {
  let database: TestDatabase;
  let subject: TestApp;
  const received = new Recorder<string>();

  beforeAll(async () => {
    database = await createTestDatabase();
    subject = await createApp({ connection: database.url });
    for (const channel of ['a', 'b']) {
      subject.service.listen(channel).subscribe(({ payload }) => received.push(`${channel} ${String(payload)}`));
    }
    await subject.app.init();
  });

  afterAll(async () => {
    await subject.app.close();
    await database.drop();
  });

  const commits = (): Promise<number> =>
    database
      .query<{ count: string }>('SELECT xact_commit AS count FROM pg_stat_database WHERE datname = current_database()')
      .then(({ rows }) => Number(rows[0]!.count));

  it('delivers each one, in the order of the calls, those that are equal too, in few transactions', async () => {
    const { service } = subject;
    const sent = Array.from({ length: 5_000 }, (_, i) => [i % 2 ? 'a' : 'b', i % 1_250] as const);
    const before = await commits();
    await Promise.all(sent.map(([channel, number]) => service.notify(channel, number)));
    expect(await received.until(5_000)).toEqual(sent.map(([channel, number]) => `${channel} ${number}`));
    await subject.app.close(); // A backend that ends tells of its transactions.
    const after = await eventually(commits, (count) => count > before);
    expect(after - before).toBeLessThan(500);
  });
});
