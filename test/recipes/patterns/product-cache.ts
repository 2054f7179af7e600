import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';
import { pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { Pool } from 'pg';

export const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema<number>() });

@Injectable()
export class ProductCache {
  private readonly prices = new Map<number, Promise<number | undefined>>();

  constructor(private readonly pool: Pool) {}

  price(id: number): Promise<number | undefined> {
    let price = this.prices.get(id);
    if (price === undefined) {
      price = this.read(id);
      this.prices.set(id, price); // Before the answer: a change that comes meanwhile evicts it.
      price.catch(() => this.prices.delete(id)); // A failure is not kept: the next call reads again.
    }
    return price;
  }

  @OnPgNotify(ProductChanges)
  evict({ keys }: PgTableChange<number>): void {
    for (const id of keys ?? this.prices.keys()) this.prices.delete(id); // Without keys: any of them may have changed.
  }

  @OnPgGap(ProductChanges) // At the start, after a reconnect, an overflow …: "some may have been missed".
  clear(): void {
    this.prices.clear();
  }

  private async read(id: number): Promise<number | undefined> {
    const { rows } = await this.pool.query('SELECT price FROM products WHERE id = $1', [id]);
    return rows[0]?.price;
  }
}
