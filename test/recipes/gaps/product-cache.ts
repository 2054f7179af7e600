import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgGap, PgNotifyContext } from 'nest-pg-notify';
import { pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { Pool } from 'pg';

export const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema<number>() });

@Injectable()
export class ProductCache {
  private prices = new Map<number, number>();

  constructor(private readonly pool: Pool) {}

  @OnPgNotify(ProductChanges)
  async refresh({ keys }: PgTableChange<number>): Promise<void> {
    if (keys === null) return this.load(); // Too many to name, or a TRUNCATE.
    const { rows } = await this.pool.query('SELECT id, price FROM products WHERE id = ANY ($1)', [keys]);
    for (const id of keys) this.prices.delete(id);
    for (const { id, price } of rows) this.prices.set(id, price);
  }

  @OnPgGap(ProductChanges)
  async reload(_gap: PgGap, { signal }: PgNotifyContext): Promise<void> {
    await this.load(signal);
  }

  private async load(signal?: AbortSignal): Promise<void> {
    const { rows } = await this.pool.query('SELECT id, price FROM products');
    if (signal?.aborted) return; // The application shuts down, or this run has timed out.
    this.prices = new Map(rows.map(({ id, price }) => [id, price]));
  }

  price(id: number): number | undefined {
    return this.prices.get(id);
  }
}
