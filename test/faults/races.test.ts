import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { PgNotifyService } from 'nest-pg-notify';
import type { Subscription } from 'rxjs';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { channelsOnServer } from '../support/app/listening-session.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { watched } from '../support/app/watched-app.js';
import { untilListeners } from '../support/backends.js';
import { eventually } from '../support/recorder.js';
import { turn } from '../support/turn.js';

const CHANNELS = ['a', 'b', 'c', 'd'];

const channel = fc.constantFrom(...CHANNELS);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('subscribe'), channel }) },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('unsubscribe'), channel }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('reset'), channel }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('turn'), channel }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('ready'), channel }) },
);

/** Consumers that come and go, and what each of them was told. */
class Consumers {
  readonly told: string[][] = [];
  private readonly live = new Map<string, Subscription[]>(CHANNELS.map((name) => [name, []]));

  constructor(private readonly service: PgNotifyService) {}

  get wanted(): string[] {
    return [...this.live].filter(([, subscriptions]) => subscriptions.length > 0).map(([name]) => name);
  }

  add(name: string): void {
    const told: string[] = [];
    this.told.push(told);
    this.live.get(name)!.push(this.service.gaps(name).subscribe(({ reason }) => told.push(reason)));
  }

  remove(name: string): void {
    this.live.get(name)!.shift()?.unsubscribe();
  }

  removeAll(): void {
    for (const name of CHANNELS) while (this.live.get(name)!.length > 0) this.remove(name);
  }
}

// FAULTS 37.
describe('consumers that come and go while connections are reset', () => {
  const suite = appSuite({ proxy: 'all', options: QUICK });

  it('leave the server listening to exactly what is wanted in the end, on one backend', async () => {
    const { database, proxy } = suite;
    const subject = watched(await suite.create({ reconnect: { minDelay: 1, maxDelay: 5 }, deliveryCheck: false }));
    const { app, service } = subject;
    await app.init();
    const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const consumers = new Consumers(service);
      for (const { what, channel: name } of steps) {
        if (what === 'subscribe') consumers.add(name);
        else if (what === 'unsubscribe') consumers.remove(name);
        else if (what === 'reset') proxy.reset();
        else if (what === 'turn') await turn();
        else await service.ready();
      }
      // A reset may be noticed a moment after ready(): then it is waited for once more.
      const wanted = [...consumers.wanted, 'watched'].toSorted();
      await eventually(
        () =>
          service
            .ready()
            .then(() => channelsOnServer(subject))
            .catch(String),
        (channels) => JSON.stringify(channels) === JSON.stringify(wanted),
      );
      for (const told of consumers.told) {
        expect(['start', undefined]).toContain(told[0]); // Nothing, where it went before the server had acknowledged.
        expect(told.filter((reason) => reason === 'start').length).toBeLessThanOrEqual(1);
      }
      consumers.removeAll();
      await eventually(
        () => service.ready().then(() => service.status.channels),
        ({ wanted: left, acknowledged }) => left === 1 && acknowledged === 1,
      );
    });
    await fc.assert(property, { numRuns: 25, endOnFailure: true });
    expect(await untilListeners(database, 1)).toEqual([service.status.processId]);
    await app.close();
    expectNoSecret(subject, database.url);
  });
});
