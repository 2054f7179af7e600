import { describe, expect, it } from '@jest/globals';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import {
  getPgNotifyToken,
  getPgNotifyTransportToken,
  PgNotifyHealthIndicator,
  PgNotifyModule,
  PgNotifyService,
} from 'nest-pg-notify';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { appSuite } from '../support/app/app-suite.js';
import { Cache, Changes, FeatureModule } from '../support/cache-feature.js';
import { failureOf } from '../support/failures.js';

describe('PgNotifyTestingModule', () => {
  const suite = appSuite({ bus: true });

  async function start(metadata: ModuleMetadata): Promise<INestApplication> {
    return (await suite.createOf(metadata)).app.init();
  }

  it('replaces the root in the test of one feature, and provides its bus', async () => {
    const app = await start({ imports: [PgNotifyTestingModule.forRoot(), FeatureModule] });
    const bus = app.get(PgNotifyTestBus);
    bus.emit(Changes, { id: 1 });
    await bus.settled();
    expect(app.get(Cache).log).toEqual(['reload start', 'evict 1']);
    expect(app.get(PgNotifyHealthIndicator)).toBeInstanceOf(PgNotifyHealthIndicator);
  });

  it('replaces several registrations by name', async () => {
    const imports = [PgNotifyTestingModule.forRoot(), PgNotifyTestingModule.forRoot({ name: 'analytics' })];
    const app = await start({ imports });
    const analytics = app.get<PgNotifyTestBus>(getPgNotifyTransportToken('analytics'));
    const bus = app.get(PgNotifyTestBus);
    expect(analytics).not.toBe(bus);
    await app.get<PgNotifyService>(getPgNotifyToken('analytics')).notify('a', 1);
    expect([bus.sent(), analytics.sent()]).toMatchObject([[], [{ channel: 'a' }]]);
  });

  it('gives each module that it is imported into a bus of its own, and takes the options of handlers', async () => {
    const imports = [PgNotifyTestingModule.forRoot({ handlers: false }), FeatureModule];
    const [first, second] = [await start({ imports }), await start({ imports })];
    expect(first.get(PgNotifyTestBus)).not.toBe(second.get(PgNotifyTestBus));
    first.get(PgNotifyTestBus).emit(Changes, { id: 1 });
    await first.get(PgNotifyTestBus).settled();
    expect(first.get(Cache).log).toEqual([]);
  });

  it('refuses to be combined with the root that it replaces', async () => {
    const imports = [PgNotifyTestingModule.forRoot(), PgNotifyModule.forRoot({ connection: '' })];
    expect((await failureOf(suite.createOf({ imports }))).message).toMatch(
      /The option connection of PgNotifyModule is empty|Two registrations have the name 'default'/,
    );
  });
});
