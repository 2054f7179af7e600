import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgNotifyService } from 'nest-pg-notify';
import { driverFailure } from '../../lib/executor/driver-failure.js';
import { OrderEvents } from '../recipes/order-events.js';
import { appSuite } from './app/app-suite.js';
import type { TestDatabase } from './postgres.js';
import { rejection } from './failures.js';
import { Recorder } from './recorder.js';

export interface OrderRecipe {
  /** Inserts an order and notifies of it, in one transaction. */
  create(customer: string): Promise<void>;
  close(): Promise<unknown>;
}

/** That a customer orders once, the database finds out at the commit: then the notification has been sent already. */
const TABLE = `CREATE TABLE orders (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED
)`;

/** What a recipe for a transaction must do. */
export function orderRecipeSuite(
  name: string,
  connect: (database: TestDatabase, service: PgNotifyService) => OrderRecipe | Promise<OrderRecipe>,
): void {
  describe(`the recipe for ${name}`, () => {
    const received = new Recorder<number>();
    const suite = appSuite();
    let recipe: OrderRecipe;

    beforeAll(async () => {
      const { database } = suite;
      await database.query(TABLE);
      const { app, service } = await suite.create();
      service.listen(OrderEvents).subscribe(({ payload }) => received.push(payload.id));
      await app.init();
      recipe = suite.use(await connect(database, service));
    });

    it('notifies of an order that was committed, and of none that could not be', async () => {
      await recipe.create('Ann');
      const refusal = await rejection(recipe.create('Ann'));
      expect(driverFailure(refusal).sqlState).toBe('23505');
      await recipe.create('Bob');
      const { rows } = await suite.database.query<{ id: number }>('SELECT id FROM orders ORDER BY id');
      expect(rows).toHaveLength(2);
      expect(await received.until(2)).toEqual(rows.map(({ id }) => id));
    });
  });
}
