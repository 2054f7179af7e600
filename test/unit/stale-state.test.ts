import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgGap } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { HeldCalls } from '../support/held-calls.js';
import { eventually } from '../support/recorder.js';
import { SeededRandom } from '../support/seeded-random.js';
import { turn } from '../support/turn.js';

interface Change {
  readonly key: string;
  readonly value: number;
}
type Table = Record<string, number>;

const suite = appSuite({ bus: true, options: { shutdownTimeout: 100 } });

async function start<T>(provider: Type<T>, handlers: { bufferSize?: number } = {}) {
  const { app, service } = await suite.start({ providers: [provider], handlers });
  return { app, bus: suite.bus, provider: app.get(provider), service };
}

describe('a cache that takes values from payloads', () => {
  it.each(['has failed', 'fails'])(
    'ends as its table when notifications are lost while a gap method %s and others wait behind it',
    async (when) => {
      const table: Table = {};
      const held = new HeldCalls<PgGap>();

      @Injectable()
      class Cache {
        values: Table = {};

        @OnPgNotify('c')
        set({ key, value }: Change): void {
          this.values[key] = value;
        }

        @OnPgGap('c')
        async load(gap: PgGap): Promise<void> {
          await held.run(gap);
          this.values = { ...table };
        }
      }
      const { bus, provider, service } = await start(Cache);
      const send = (value: number): void => {
        table['a'] = value;
        bus.emit('c', { key: 'a', value });
      };
      await held.begun.until(1);
      if (when === 'has failed') {
        held.end(new Error('on purpose'));
        await eventually(
          () => service.stats().handlers.find(({ kind }) => kind === 'gap')!.failed,
          (failed) => failed === 1,
        );
      }
      send(1); // Waits behind the gap.
      bus.simulateDisconnect();
      send(2); // Is lost.
      bus.reconnect();
      if (when === 'fails') held.end(new Error('on purpose'));
      await held.begun.until(2);
      held.end();
      await held.begun.until(3); // What was read before 1 was handled does not do for what was lost after it.
      held.end();
      await bus.settled();
      expect(provider.values).toEqual(table);
    },
  );

  it.each(['one by one', 'batches', 'latest'])(
    'ends as its table after random changes, losses and overflows: %s',
    async (kind) => {
      // Together: most of the time they wait for the next overflow to be told.
      const runs: (() => Promise<void>)[] = [];
      for (const fails of [0, 0.4]) {
        for (let seed = 1; seed <= 8; seed += 1) {
          const run = await startAtRandom(kind, fails, seed);
          runs.push(async () => {
            const { cached, table } = await run();
            expect([kind, fails, seed, cached]).toEqual([kind, fails, seed, table]);
          });
        }
      }
      await Promise.all(runs.map((run) => run()));
    },
  );
});

/** Random changes, disconnects and overflows, with gap methods that fail at random. */
async function startAtRandom(
  kind: string,
  fails: number,
  seed: number,
): Promise<() => Promise<{ cached: Table; table: Table }>> {
  const random = new SeededRandom(seed);
  const table: Table = {};
  const Changes = definePgChannel<Change>('c');
  const mode =
    kind === 'latest'
      ? { latest: ({ key }: Change) => key, bufferSize: 2 }
      : { bufferSize: 4 + Math.floor(random.next() * 20) };

  @Injectable()
  class Cache {
    values: Table = {};

    @OnPgNotify(Changes, mode)
    async set({ key, value }: Change): Promise<void> {
      await turn();
      this.values[key] = value;
    }

    @OnPgGap(Changes)
    async load(): Promise<void> {
      const read = { ...table };
      await turn();
      if (random.next() < fails) throw new Error('on purpose');
      this.values = read;
    }
  }

  @Injectable()
  class BatchCache extends Cache {
    @OnPgNotify(Changes, { bufferSize: 10, batch: { maxSize: 4 } })
    async setAll(changes: Change[]): Promise<void> {
      await turn();
      for (const { key, value } of changes) this.values[key] = value;
    }

    override async set(): Promise<void> {}
  }
  const { app, bus, provider } = await start(kind === 'batches' ? BatchCache : Cache, { bufferSize: 5 });
  return async () => {
    for (let step = 0, value = 0; step < 40; step += 1) {
      const choice = random.next();
      if (choice < 0.7) {
        for (let count = 1 + Math.floor(random.next() * 4); count > 0; count -= 1) {
          const change = { key: String(Math.floor(random.next() * 4)), value: (value += 1) };
          table[change.key] = change.value;
          bus.emit(Changes, change);
        }
      } else if (choice < 0.75) bus.simulateDisconnect();
      else if (choice < 0.85) bus.reconnect();
      else if (choice < 0.87) bus.simulateGap();
      else await turn();
    }
    bus.reconnect();
    await bus.settled();
    await app.close();
    return { cached: provider.values, table };
  };
}

it('counts what a shutdown drops when its timeout has passed', async () => {
  @Injectable()
  class Handlers {
    @OnPgNotify('c')
    never(): Promise<void> {
      return new Promise(() => undefined);
    }
  }
  const { app, bus, service } = await start(Handlers);
  for (let value = 0; value < 100; value += 1) bus.emit('c', value);
  await app.close();
  expect(service.stats().handlers).toMatchObject([{ running: 1, waiting: 0, dropped: 99 }]);
});

it('causes no leak warning with many handlers and many runs with a timeout', async () => {
  const warnings: string[] = [];
  const onWarning = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', onWarning);
  const held = new HeldCalls<void>();

  @Injectable()
  class Handlers {
    @OnPgNotify('c', { concurrency: 30, timeout: 60_000 })
    handle(): Promise<void> {
      return held.run();
    }
  }
  for (let index = 0; index < 20; index += 1) {
    const descriptor = { value: (): void => undefined };
    Object.defineProperty(Handlers.prototype, `gap${index}`, { ...descriptor, configurable: true });
    OnPgGap(`c${index}`)(Handlers.prototype, `gap${index}`, descriptor);
  }
  const { bus } = await start(Handlers);
  for (let value = 0; value < 30; value += 1) bus.emit('c', value);
  await held.begun.until(30);
  for (let value = 0; value < 30; value += 1) held.end();
  await bus.settled();
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
