import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgGap, PgNotifyContext } from 'nest-pg-notify';
import { Pool } from 'pg';

export const ProductChanges = definePgChannel<{ id: number }>('product_changes');

@Injectable()
export class ProductCache {
  private prices = new Map<number, number>();

  constructor(private readonly pool: Pool) {}

  @OnPgNotify(ProductChanges)
  async refresh({ id }: { id: number }): Promise<void> {
    const { rows } = await this.pool.query('SELECT price FROM products WHERE id = $1', [id]);
    if (rows.length === 0) this.prices.delete(id);
    else this.prices.set(id, rows[0].price);
  }

  @OnPgGap(ProductChanges)
  async reload(gap: PgGap, context: PgNotifyContext): Promise<void> {
    const { rows } = await this.pool.query('SELECT id, price FROM products');
    if (context.signal.aborted) return; // The application shuts down, or this run has timed out.
    this.prices = new Map(rows.map(({ id, price }) => [id, price]));
  }

  price(id: number): number | undefined {
    return this.prices.get(id);
  }
}
