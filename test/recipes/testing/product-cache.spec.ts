import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { ProductCache, ProductChanges, Products } from './product-cache.js';

/** What the trigger sends for an update. */
function changeOf(...keys: number[]): PgTableChange<number> {
  return { op: 'update', table: 'products', keys, at: new Date().toISOString() };
}

describe('ProductCache', () => {
  let app: INestApplication;
  let bus: PgNotifyTestBus;

  beforeEach(async () => {
    const module = await Test.createTestingModule({
      imports: [PgNotifyTestingModule.forRoot()],
      providers: [ProductCache, Products],
    }).compile();
    app = await module.createNestApplication().init();
    bus = app.get(PgNotifyTestBus);
    await bus.settled(); // The cache is filled: its start is a gap.
  });

  afterEach(() => app.close());

  it('reads a product again when it has changed', async () => {
    app.get(Products).names.set(7, 'Kettle').set(8, 'Mug');
    bus.emit(ProductChanges, changeOf(7));
    await bus.settled();
    expect(await app.get(ProductCache).name(7)).toBe('Kettle');
    expect(await app.get(ProductCache).name(8)).toBe('Cup'); // Nobody has said that it changed.
  });

  it('reads everything again when changes may have been missed', async () => {
    bus.simulateDisconnect();
    app.get(Products).names.set(7, 'Kettle').set(8, 'Mug');
    bus.emit(ProductChanges, changeOf(7)); // Lost.
    bus.reconnect();
    await bus.settled();
    expect(await app.get(ProductCache).name(8)).toBe('Mug');
  });
});
