import { expect, it } from '@jest/globals';
import type { Subscription } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';

const SUBSCRIBERS = 20_000;

const suite = appSuite();

// Each of them took 160 µs to come and as much to go when a list was copied for each: more than 6 s.
it('lets 20,000 subscribers of one channel come and go in a second', async () => {
  const { service } = await suite.start({});
  const seen = new Set<number>();
  const begun = process.cpuUsage();
  const subscriptions: Subscription[] = [];
  for (let index = 0; index < SUBSCRIBERS; index += 1) {
    subscriptions.push(service.listen('popular').subscribe(() => seen.add(index)));
  }
  const added = process.cpuUsage(begun);
  await service.ready();
  const [arrived] = await Promise.all([
    new Promise((resolve) => subscriptions.push(service.listen('popular').subscribe(resolve))),
    service.notify('popular'),
  ]);
  expect(arrived).toMatchObject({ channel: 'popular' });
  expect(seen.size).toBe(SUBSCRIBERS);

  const full = process.cpuUsage();
  for (const subscription of subscriptions) subscription.unsubscribe();
  const removed = process.cpuUsage(full);
  expect((added.user + removed.user) / 1_000).toBeLessThan(1_000);
  await service.ready();
  expect(service.status.channels).toEqual({ wanted: 0, acknowledged: 0 });
});
